//! All codes at a depth with their pictures, and the nearest neighbours of one code.

use eframe::egui::{
    Align2, FontId, Grid, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo,
    pos2,
};

use super::CodebookView;
use super::usage::Summary;
use crate::app::action::Action;
use crate::app::panels::parts::patch;
use crate::app::patches::BATCH;
use crate::app::state::State;
use crate::app::textures;
use residua_core::text::counted;

/// Side of a code's picture, in points.
const SIDE: f32 = 40.0;

/// Size of a code's cell: its picture, number and uses.
const CELL: Vec2 = Vec2::new(62.0, 76.0);

/// The list of all `codes`. Pictures are requested and drawn only for the codes in view.
pub fn show(
    ui: &mut Ui,
    state: &State,
    view: &CodebookView,
    codes: usize,
    summary: Option<&Summary>,
    actions: &mut Vec<Action>,
) {
    let depth = view.depth;
    let order = summary.filter(|_| view.by_use).map(|summary| &summary.order);
    let columns = ((ui.available_width() / (CELL.x + ui.spacing().item_spacing.x)) as usize).max(1);
    let mut visible = Vec::new();
    let area = ScrollArea::vertical().id_salt(("codes", depth)).auto_shrink(false);
    area.show_rows(ui, CELL.y, codes.div_ceil(columns), |ui, rows| {
        for row in rows {
            ui.horizontal(|ui| {
                for place in row * columns..((row + 1) * columns).min(codes) {
                    let code = order.map_or(place as u32, |order| order[place]);
                    visible.push(code);
                    if cell(ui, state, depth, code, summary) {
                        actions.push(Action::Browse(depth, code));
                    }
                }
            });
        }
    });
    visible.retain(|&code| state.patch(depth, code).is_none());
    if state.found.patches.is_idle() && !visible.is_empty() {
        visible.truncate(BATCH);
        actions.push(Action::NeedPatches(depth, visible));
    }
}

/// Shows one code; returns true if it is clicked.
fn cell(ui: &mut Ui, state: &State, depth: usize, code: u32, summary: Option<&Summary>) -> bool {
    let chosen =
        state.found.browsed.as_ref().is_some_and(|browsed| (browsed.depth, browsed.code) == (depth, code));
    let uses = summary.map(|summary| summary.counts[code as usize]);
    let (rect, response) = ui.allocate_exact_size(CELL, Sense::click());
    let words = match uses {
        None => String::new(),
        Some(0) => "dead".into(),
        Some(uses) => counted(uses as usize, "use"),
    };
    response.widget_info(|| {
        let name = format!("Code {code} of depth {}, {words}", depth + 1);
        WidgetInfo::selected(Role::Button, true, chosen, name.trim_end_matches(", "))
    });
    let visuals = ui.style().interact_selectable(&response, chosen);
    ui.painter().rect_filled(rect, 2.0, visuals.weak_bg_fill);
    let picture =
        Rect::from_center_size(pos2(rect.center().x, rect.top() + 2.0 + SIDE / 2.0), Vec2::splat(SIDE));
    match state.patch(depth, code) {
        Some(patch) => {
            let texture = textures::of(ui.ctx(), patch);
            eframe::egui::Image::new((texture.id(), picture.size())).paint_at(ui, picture);
        }
        None => {
            ui.painter().rect_filled(picture, 2.0, ui.visuals().faint_bg_color);
        }
    }
    if uses == Some(0) {
        let stroke = Stroke::new(1.5, ui.visuals().warn_fg_color);
        ui.painter().rect_stroke(picture, 0.0, stroke, StrokeKind::Inside);
    }
    let small = FontId::proportional(TextStyle::Small.resolve(ui.style()).size);
    let color = visuals.text_color();
    let line = |y, text: &str| {
        ui.painter().text(pos2(rect.center().x, y), Align2::CENTER_TOP, text, small.clone(), color);
    };
    line(picture.bottom() + 1.0, &code.to_string());
    line(picture.bottom() + 1.0 + small.size + 2.0, &words);
    response.clicked()
}

/// The codes nearest to the chosen one, if that is one of this `depth`.
pub fn show_neighbours(ui: &mut Ui, state: &State, depth: usize, actions: &mut Vec<Action>) {
    let Some(browsed) = state.found.browsed.as_ref().filter(|browsed| browsed.depth == depth) else {
        ui.label("Click a code to see its nearest neighbours.");
        return;
    };
    let code = browsed.code;
    let Some(found) = &browsed.neighbours else {
        ui.label(format!("Looking for the neighbours of code {code}."));
        return;
    };
    ui.horizontal(|ui| {
        patch(ui, state, depth, code, SIDE);
        ui.strong(format!("Neighbours of code {code}"));
    });
    Grid::new("neighbours").num_columns(3).striped(true).show(ui, |ui| {
        for (neighbour, distance) in &found.nearest {
            patch(ui, state, depth, *neighbour, 28.0);
            if ui.link(format!("Neighbour {neighbour}")).clicked() {
                actions.push(Action::Browse(depth, *neighbour));
            }
            ui.label(format!("distance {distance:.3}"));
            ui.end_row();
        }
    });
}
