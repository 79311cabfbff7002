//! Right-to-left text. egui shapes each Arabic or Hebrew word correctly, but places the words from left to right. Just
//! before painting, this moves the glyphs of each row to where the Unicode bidirectional algorithm puts them. Layout,
//! editing and accessible names keep the logical order.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use eframe::egui::epaint::Vertex;
use eframe::egui::epaint::text::{Galley, Glyph, Row};
use eframe::egui::{Context, FullOutput, Plugin, Shape};
use unicode_bidi::{BidiClass, BidiDataSource, BidiInfo, HardcodedBidiData, Level, bidi_class};

/// Blocks of right-to-left scripts, with their marks, digits and punctuation. No built-in font covers them, so they are
/// always shaped separately from other text.
const BLOCKS: [RangeInclusive<char>; 5] = [
    '\u{590}'..='\u{8ff}',
    '\u{fb1d}'..='\u{fdff}',
    '\u{fe70}'..='\u{fefe}',
    '\u{10800}'..='\u{10fff}',
    '\u{1e800}'..='\u{1efff}',
];

/// Reorders right-to-left text on its way to the screen.
pub struct RightToLeft;

impl Plugin for RightToLeft {
    fn debug_name(&self) -> &'static str {
        "right-to-left text"
    }

    fn output_hook(&mut self, _: &Context, output: &mut FullOutput) {
        output.shapes.iter_mut().for_each(|clipped| put_in_order(&mut clipped.shape));
    }
}

fn put_in_order(shape: &mut Shape) {
    match shape {
        Shape::Vec(shapes) => shapes.iter_mut().for_each(put_in_order),
        Shape::Text(text) if runs_right_to_left(&text.galley) => {
            let galley = Arc::make_mut(&mut text.galley);
            let (base, pixels_per_point) = (base_of(galley), galley.pixels_per_point);
            for placed in &mut galley.rows {
                move_glyphs(Arc::make_mut(&mut placed.row), base, pixels_per_point);
            }
        }
        _ => (),
    }
}

fn runs_right_to_left(galley: &Galley) -> bool {
    !galley.text().is_ascii() && galley.text().chars().any(is_letter)
}

fn is_letter(char: char) -> bool {
    matches!(bidi_class(char), BidiClass::R | BidiClass::AL)
}

fn is_in_blocks(char: char) -> bool {
    BLOCKS.iter().any(|block| block.contains(&char))
}

/// The base direction: right-to-left, unless the text has left-to-right letters. Mixed text is usually one of the
/// studio's own messages with a name in it.
fn base_of(galley: &Galley) -> Level {
    let is_mixed = galley.text().chars().any(|char| bidi_class(char) == BidiClass::L);
    if is_mixed { Level::ltr() } else { Level::rtl() }
}

fn move_glyphs(row: &mut Row, base: Level, pixels_per_point: f32) {
    let Row { glyphs, visuals, .. } = row;
    let units = units(glyphs);
    let levels = levels(glyphs, &units, base);
    let starts: Vec<f32> = units.iter().map(|unit| glyphs[unit.start].pos.x).collect();
    let (Some(mut x), Some(end)) = (starts.first().copied(), glyphs.last().map(Glyph::max_x)) else { return };
    for unit in BidiInfo::reorder_visual(&levels) {
        let by = x - starts[unit];
        for glyph in &mut glyphs[units[unit].clone()] {
            glyph.pos.x += by;
            let first = glyph.first_vertex as usize;
            if let (false, Some(corners)) =
                (glyph.uv_rect.is_nothing(), visuals.mesh.vertices.get_mut(first..first + 4))
            {
                corners.iter_mut().for_each(|corner| corner.pos.x += by);
                if levels[unit].is_rtl() && is_bracket(glyph.chr) {
                    mirror(corners);
                }
            }
        }
        let width = starts.get(unit + 1).copied().unwrap_or(end) - starts[unit];
        // Glyphs blur unless they start on whole pixels.
        x += (width * pixels_per_point).round() / pixels_per_point;
    }
}

fn is_bracket(char: char) -> bool {
    HardcodedBidiData.bidi_matched_opening_bracket(char).is_some()
}

/// Mirrors a glyph by swapping the texture coordinates of its left and right corners.
fn mirror(corners: &mut [Vertex]) {
    for side in corners.chunks_exact_mut(2) {
        let (left, right) = (side[0].uv, side[1].uv);
        (side[0].uv, side[1].uv) = (right, left);
    }
}

/// Glyphs that move as one: a right-to-left word, which the shaper has already ordered, or any other single glyph.
fn units(glyphs: &[Glyph]) -> Vec<Range<usize>> {
    let mut units: Vec<Range<usize>> = Vec::new();
    for (index, glyph) in glyphs.iter().enumerate() {
        let goes_on = index > 0 && is_in_blocks(glyphs[index - 1].chr) && is_in_blocks(glyph.chr);
        match units.last_mut() {
            Some(unit) if goes_on => unit.end = index + 1,
            _ => units.push(index..index + 1),
        }
    }
    units
}

/// The embedding level of each unit; odd levels run from right to left.
fn levels(glyphs: &[Glyph], units: &[Range<usize>], base: Level) -> Vec<Level> {
    let stands_for = |unit: &Range<usize>| {
        let glyphs = &glyphs[unit.clone()];
        let letter = glyphs.iter().map(|glyph| glyph.chr).find(|&char| is_letter(char));
        match letter.unwrap_or(glyphs[0].chr) {
            // A row is always one paragraph.
            char if bidi_class(char) == BidiClass::B => ' ',
            char => char,
        }
    };
    let text: String = units.iter().map(stands_for).collect();
    let info = BidiInfo::new(&text, Some(base));
    let line = info.paragraphs.first();
    line.map(|line| info.reordered_levels_per_char(line, line.range.clone())).unwrap_or_default()
}
