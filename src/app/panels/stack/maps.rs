//! One small map for each depth: its picture, its codes, or what it leaves over. A click chooses the depth.

use std::sync::Arc;

use eframe::egui::{
    Align2, Color32, FontId, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, TextureHandle, Ui, Vec2,
    WidgetInfo, pos2, vec2,
};
use image::{Rgb, RgbImage};

use super::patch::WHOLE;
use super::{Map, Maps, rates};
use crate::app::colors;
use crate::app::document::Mode;
use crate::app::state::State;
use crate::codes::CodeStack;
use crate::engine::studio::Layers;
use crate::image_io::Picture;

/// Smallest side of a map, in points.
const SMALLEST: f32 = 40.0;

/// What can be shown, with its name.
const MAPS: [(Map, &str); 4] =
    [(Map::Pictures, "Pictures"), (Map::Codes, "Codes"), (Map::Residuals, "Residuals"), (Map::Rates, "Rate")];

/// Shows the chosen kind of maps.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        for (map, name) in MAPS {
            let chosen = state.stack_view.map == map;
            let response = ui.selectable_value(&mut state.stack_view.map, map, name);
            let name = format!("{name} by depth");
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &name));
        }
    });
    let Some(document) = &state.document else { return };
    let (stack, layers, mode) = (document.stack().clone(), document.layers.clone(), document.mode);
    match (state.stack_view.map, layers) {
        (Map::Codes, _) => {
            let maps = state.stack_view.codes.get(&stack, codes);
            strip(ui, state, &maps);
            ui.weak("Each colour is a code; equal colours are equal codes.");
        }
        (_, None) => {
            ui.label("decoding…");
        }
        (Map::Pictures, Some(layers)) => {
            let (pictures, legend) = match mode {
                Mode::Add => (&layers.add, "The picture of the codes down to each depth."),
                Mode::Select => (&layers.select, "The picture of each depth's codes alone."),
            };
            strip(ui, state, pictures);
            ui.weak(legend);
        }
        (Map::Residuals, Some(layers)) => {
            let maps = state.stack_view.residuals.get(&layers, residuals);
            strip(ui, state, &maps);
            scale(ui, &layers);
        }
        (Map::Rates, Some(layers)) => rates::show(ui, state, &layers),
    }
}

/// One map a depth, side by side.
fn strip(ui: &mut Ui, state: &mut State, maps: &[Arc<Picture>]) {
    let Some(document) = &state.document else { return };
    let (depth, mut chosen) = (document.depth, None);
    let textures: Vec<TextureHandle> = maps.iter().map(|picture| state.texture(ui.ctx(), picture)).collect();
    let gap = ui.spacing().item_spacing.x;
    let wide = ui.available_width() / maps.len() as f32 - gap;
    let side = wide.min(ui.available_height() - 24.0).max(SMALLEST);
    ScrollArea::horizontal().id_salt("maps").show(ui, |ui| {
        ui.horizontal(|ui| {
            for (d, texture) in textures.iter().enumerate() {
                let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::click());
                let name = format!("show depth {}", d + 1);
                response.widget_info(|| WidgetInfo::selected(Role::Button, true, d == depth, &name));
                ui.painter().image(texture.id(), rect.shrink(2.0), WHOLE, Color32::WHITE);
                if d == depth || response.hovered() {
                    let stroke = Stroke::new(2.0, ui.visuals().selection.stroke.color);
                    ui.painter().rect_stroke(rect, 1, stroke, StrokeKind::Inside);
                }
                number(ui, rect, d + 1);
                if response.clicked() {
                    chosen = Some(d);
                }
            }
        });
    });
    if let Some(depth) = chosen {
        state.choose_depth(depth);
    }
}

/// A depth's number in the corner of its map.
fn number(ui: &Ui, rect: Rect, depth: usize) {
    let tag = Rect::from_min_size(rect.min + Vec2::splat(2.0), vec2(14.0, 14.0));
    ui.painter().rect_filled(tag, 2, Color32::from_black_alpha(170));
    let font = FontId::proportional(11.0);
    ui.painter().text(tag.center(), Align2::CENTER_CENTER, depth, font, Color32::WHITE);
}

/// The codes of each depth by colour.
fn codes(stack: &CodeStack) -> Maps {
    by_depth(stack, |place| colors::of_code(stack.codes()[place]))
}

/// What each depth leaves over, all on one scale.
fn residuals(layers: &Layers) -> Maps {
    let most = most(layers);
    by_depth(&layers.stack, |place| {
        colors::map(layers.residual_norms.get(place).copied().unwrap_or(0.0) / most)
    })
}

/// The largest norm that is left over.
fn most(layers: &Layers) -> f32 {
    layers.residual_norms.iter().copied().fold(f32::MIN_POSITIVE, f32::max)
}

/// One pixel a cell, of the colour that its place in (row, column, depth) has.
fn by_depth(stack: &CodeStack, color: impl Fn(usize) -> Color32) -> Maps {
    let (h, w, depth) = (stack.h(), stack.w(), stack.depth());
    let map = |d: usize| {
        let pixels = RgbImage::from_fn(w as u32, h as u32, |x, y| {
            let [r, g, b, _] = color((y as usize * w + x as usize) * depth + d).to_array();
            Rgb([r, g, b])
        });
        Arc::new(Picture::from_rgb8(&pixels))
    };
    (0..depth).map(map).collect()
}

/// What the colours of the residuals stand for.
fn scale(ui: &mut Ui, layers: &Layers) {
    const STEPS: usize = 24;
    ui.horizontal_wrapped(|ui| {
        ui.weak("Norm left over: 0");
        let (rect, _) = ui.allocate_exact_size(vec2(72.0, 10.0), Sense::hover());
        let at = |step: usize| rect.left() + rect.width() * step as f32 / STEPS as f32;
        for step in 0..STEPS {
            let part = Rect::from_min_max(pos2(at(step), rect.top()), pos2(at(step + 1), rect.bottom()));
            ui.painter().rect_filled(part, 0, colors::map(step as f32 / (STEPS - 1) as f32));
        }
        ui.weak(format!("{:.1}", most(layers)));
        ui.weak(if layers.of_original { "of the original" } else { "of all codes' sum" });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_the_colours_of_its_depth() {
        let stack = CodeStack::new(1, 2, 2, vec![3, 5, 7, 9]).expect("whole");
        let maps = codes(&stack);
        for (depth, expected) in [[3, 7], [5, 9]].into_iter().enumerate() {
            let pixels = maps[depth].to_rgb8();
            for (x, code) in expected.into_iter().enumerate() {
                assert_eq!(pixels.get_pixel(x as u32, 0).0, colors::of_code(code).to_array()[..3]);
            }
        }
    }

    #[test]
    fn residuals_share_one_scale() {
        let layers = Layers {
            stack: Arc::new(CodeStack::new(1, 1, 2, vec![0; 2]).expect("whole")),
            add: Vec::new(),
            select: Vec::new(),
            residual_norms: vec![4.0, 1.0],
            of_original: true,
            rate_distortion: Vec::new(),
        };
        let found: Vec<[u8; 3]> =
            residuals(&layers).iter().map(|map| map.to_rgb8().get_pixel(0, 0).0).collect();
        assert_eq!(found, [1.0, 0.25].map(|part| colors::map(part).to_array()).map(|[r, g, b, _]| [r, g, b]));
    }
}
