//! A strip of small maps, one per depth: its picture, its codes or its residual. A click chooses the depth.

use std::sync::Arc;

use eframe::egui::{
    Align2, Color32, ComboBox, FontId, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, TextureHandle, Ui,
    Vec2, WidgetInfo, vec2,
};
use image::{Rgb, RgbImage};

use super::{Maps, PictureView, residuals};
use crate::app::action::Action;
use crate::app::colors;
use crate::app::document::{Document, Mode};
use crate::app::panels::parts::WHOLE;
use crate::app::textures;
use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_protocol::Layers;

/// Width of the strip, in points.
pub const WIDTH: f32 = 88.0;

/// What the maps show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    #[default]
    Pictures,
    Codes,
    Residuals,
}

/// Kinds of map with their names and descriptions.
const MAPS: [(Map, &str, &str); 3] = [
    (
        Map::Pictures,
        "Pictures",
        "The picture of the codes down to each depth, or of each depth's codes alone",
    ),
    (Map::Codes, "Code colours", "Each colour is a code; equal colours are equal codes"),
    (Map::Residuals, "Residuals", "The norm of the residual after each depth, all on one scale"),
];

/// Modes with their names and descriptions.
const MODES: [(Mode, &str, &str); 2] = [
    (Mode::Add, "Add", "The picture of the codes from the first depth down to the chosen one"),
    (Mode::Select, "Select", "The picture of the chosen depth's codes alone"),
];

/// Shows the maps, with the first depth at the top.
pub fn show(ui: &mut Ui, document: &Document, view: &mut PictureView, actions: &mut Vec<Action>) {
    kind(ui, &mut view.map);
    ui.horizontal(|ui| {
        ui.spacing_mut().button_padding.x = 3.0;
        for (mode, name, help) in MODES {
            if ui.selectable_label(document.mode == mode, name).on_hover_text(help).clicked() {
                actions.push(Action::ChooseMode(mode));
            }
        }
    });
    let maps: Maps = match (view.map, &document.layers) {
        (Map::Codes, _) => view.codes.get(document.stack(), codes),
        (_, None) => return,
        (Map::Pictures, Some(layers)) => match document.mode {
            Mode::Add => layers.add.clone().into(),
            Mode::Select => layers.select.clone().into(),
        },
        (Map::Residuals, Some(layers)) => view.residuals.get(layers, residuals),
    };
    if let Some(depth) = strip(ui, document.depth, &maps) {
        actions.push(Action::ChooseDepth(depth));
    }
}

fn kind(ui: &mut Ui, now: &mut Map) {
    let chosen = MAPS.iter().find(|(map, ..)| *map == *now).expect("the table has all").1;
    let list = ComboBox::from_id_salt("what is shown of each depth").selected_text(chosen).width(WIDTH - 8.0);
    let list = list.show_ui(ui, |ui| {
        for (map, name, help) in MAPS {
            ui.selectable_value(now, map, name).on_hover_text(help);
        }
    });
    list.response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Shown by depth"));
}

/// Shows one map per depth, from top to bottom. Returns the clicked depth; `depth` is the chosen one.
fn strip(ui: &mut Ui, depth: usize, maps: &[Arc<Picture>]) -> Option<usize> {
    let mut chosen = None;
    let textures: Vec<TextureHandle> = maps.iter().map(|picture| textures::of(ui.ctx(), picture)).collect();
    ScrollArea::vertical().id_salt("maps").auto_shrink(false).show(ui, |ui| {
        let side = WIDTH - 12.0;
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
            if response.on_hover_text("Keys 1 to 9").clicked() {
                chosen = Some(d);
            }
        }
    });
    chosen
}

/// Draws a depth's number in the corner of its map.
fn number(ui: &Ui, rect: Rect, depth: usize) {
    let tag = Rect::from_min_size(rect.min + Vec2::splat(2.0), vec2(14.0, 14.0));
    ui.painter().rect_filled(tag, 2, Color32::from_black_alpha(170));
    let font = FontId::proportional(11.0);
    ui.painter().text(tag.center(), Align2::CENTER_CENTER, depth, font, Color32::WHITE);
}

/// Maps of the codes as colours.
fn codes(stack: &CodeStack) -> Maps {
    by_depth(stack, |place| colors::of_code(stack.codes()[place]))
}

/// Maps of the residual norms.
fn residuals(layers: &Layers) -> Maps {
    by_depth(&layers.stack, residuals::colors(layers))
}

/// Maps with one pixel per cell. `color` takes the index of a code in (row, column, depth) order.
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
}
