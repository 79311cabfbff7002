//! The tooltip of a cell: its codes and what each adds.

use std::sync::Arc;

use eframe::egui::{Grid, Image, Rect, TextureHandle, Ui, Vec2, pos2, vec2};

use super::{Maps, PictureView};
use crate::app::document::Document;
use crate::app::textures;
use residua_io::image_io::Picture;
use residua_protocol::Layers;

/// Side of a code's picture, in points.
const SIDE: f32 = 36.0;

/// What each depth adds to the picture: the first depth's picture, then the change at each further depth;
/// grey is no change.
pub fn added(layers: &Layers) -> Maps {
    let first = layers.add.iter().take(1).cloned();
    let others = layers.add.windows(2).filter_map(|pair| {
        let (before, after) = (&pair[0], &pair[1]);
        let changes = before.data().iter().zip(after.data()).map(|(before, after)| after - before);
        Picture::new(after.width(), after.height(), changes.collect()).ok().map(Arc::new)
    });
    first.chain(others).collect()
}

/// The area of one cell in a picture of `h x w` cells, in texture coordinates from 0 to 1.
pub fn part([row, col]: [usize; 2], h: usize, w: usize) -> Rect {
    let size = vec2(1.0 / w as f32, 1.0 / h as f32);
    Rect::from_min_size(pos2(col as f32 * size.x, row as f32 * size.y), size)
}

/// Shows a cell's codes, with what each adds and the residual after it.
pub fn show(ui: &mut Ui, document: &Document, view: &mut PictureView, cell: [usize; 2]) {
    let (stack, layers) = (document.stack(), &document.layers);
    let [row, col] = cell;
    let (place, depth) = (row * stack.w() + col, stack.depth());
    let limit = document.edit().limits[place];
    let textures: Vec<TextureHandle> = match layers {
        Some(layers) => {
            let maps = view.added.get(layers, added);
            maps.iter().map(|picture| textures::of(ui.ctx(), picture)).collect()
        }
        None => Vec::new(),
    };
    ui.strong(format!("Row {row}, column {col}"));
    Grid::new("codes of the cell").show(ui, |ui| {
        ["depth", "code", "adds", "residual"].iter().for_each(|head| {
            ui.weak(*head);
        });
        ui.end_row();
        for (d, &code) in stack.codes()[place * depth..][..depth].iter().enumerate() {
            ui.label(format!("{}{}", d + 1, if d < limit { "" } else { " (unused)" }));
            ui.label(code.to_string());
            match textures.get(d) {
                Some(texture) => {
                    ui.add(
                        Image::new((texture.id(), Vec2::splat(SIDE)))
                            .fit_to_exact_size(Vec2::splat(SIDE))
                            .uv(part(cell, stack.h(), stack.w()))
                            .alt_text(format!("what depth {} adds", d + 1)),
                    );
                }
                None => {
                    ui.label("…");
                }
            }
            let norm = layers.as_ref().and_then(|layers| layers.residual_norms.get(place * depth + d));
            ui.label(norm.map_or_else(|| "…".into(), |norm| format!("{norm:.2}")));
            ui.end_row();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::codes::CodeStack;

    #[test]
    fn each_depth_adds_its_change() {
        let flat = |value: f32| Arc::new(Picture::new(1, 1, vec![value; 3]).expect("whole"));
        let layers = Layers {
            stack: Arc::new(CodeStack::new(1, 1, 3, vec![0; 3]).expect("whole")),
            add: vec![flat(0.5), flat(-0.5), flat(0.25)],
            select: Vec::new(),
            residual_norms: vec![0.0; 3],
            of_original: false,
            rate_distortion: Vec::new(),
        };
        let values: Vec<f32> = added(&layers).iter().map(|picture| picture.data()[0]).collect();
        assert_eq!(values, [0.5, -1.0, 0.75]);
    }

    #[test]
    fn a_cell_is_part_of_the_picture() {
        assert_eq!(part([1, 3], 2, 4), Rect::from_min_max(pos2(0.75, 0.5), pos2(1.0, 1.0)));
    }
}
