//! Thumbnails in rows; only those in view are drawn.

use eframe::egui::accesskit::Role;
use eframe::egui::{
    Align2, Image, Rect, Response, ScrollArea, Sense, Stroke, StrokeKind, TextStyle, Ui, WidgetInfo, pos2,
    vec2,
};

use crate::app::action::Action;
use crate::app::gallery::Item;
use crate::app::state::State;
use crate::app::textures;
use residua_protocol::Condition;

/// Side of a picture, in points.
const SIDE: f32 = 96.0;
/// Space around it.
const MARGIN: f32 = 4.0;

/// Shows all pictures.
pub fn show(ui: &mut Ui, state: &State, shown: &mut usize, actions: &mut Vec<Action>) {
    let place = vec2(SIDE + 2.0 * MARGIN, SIDE + 2.0 * MARGIN + ui.text_style_height(&TextStyle::Small));
    let spacing = ui.spacing().item_spacing.x;
    let width = ui.available_width() - ui.spacing().scroll.allocated_width();
    let columns = (((width + spacing) / (place.x + spacing)) as usize).max(1);
    let count = state.gallery.items.len();
    if std::mem::replace(shown, count) != count {
        // The list scrolls to its end one frame after it has grown.
        ui.ctx().request_repaint();
    }
    let area = ScrollArea::vertical().id_salt("thumbnails").auto_shrink(false).stick_to_bottom(true);
    area.show_rows(ui, place.y, count.div_ceil(columns), |ui, rows| {
        for row in rows {
            ui.horizontal(|ui| {
                for index in row * columns..count.min((row + 1) * columns) {
                    let (rect, response) = ui.allocate_exact_size(place, Sense::click());
                    thumbnail(ui, state, index, rect, &response);
                    answer(index, &response, actions);
                }
            });
        }
    });
}

fn thumbnail(ui: &Ui, state: &State, index: usize, rect: Rect, response: &Response) {
    let item = &state.gallery.items[index];
    let chosen = state.gallery.chosen.contains(&index);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, ui.is_enabled(), chosen, &item.name));
    let visuals = ui.style().interact_selectable(response, chosen);
    ui.painter().rect_filled(rect, visuals.corner_radius, visuals.weak_bg_fill);
    let frame = Rect::from_min_size(rect.min + vec2(MARGIN, MARGIN), vec2(SIDE, SIDE));
    let size = vec2(item.picture.width() as f32, item.picture.height() as f32);
    let shown = Rect::from_center_size(frame.center(), size * (SIDE / size.max_elem()));
    Image::new(&textures::of(ui.ctx(), &item.picture)).paint_at(ui, shown);
    let stroke = Stroke::new(2.0, ui.visuals().selection.stroke.color);
    if chosen {
        ui.painter().rect_stroke(rect, visuals.corner_radius, stroke, StrokeKind::Inside);
    }
    let font = TextStyle::Small.resolve(ui.style());
    let foot = pos2(rect.center().x, rect.bottom() - MARGIN / 2.0);
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    painter.text(foot, Align2::CENTER_BOTTOM, &item.name, font, visuals.text_color());
    response.clone().on_hover_text(description(item));
}

/// A click toggles the choice; a double click opens the picture.
fn answer(index: usize, response: &Response, actions: &mut Vec<Action>) {
    if response.clicked() {
        actions.push(Action::Toggle(index));
    }
    if response.double_clicked() {
        actions.push(Action::OpenItem(index));
    }
}

/// Everything known about a picture, for its tooltip.
fn description(item: &Item) -> String {
    let mut lines = vec![item.name.clone()];
    if let Some(sampling) = item.recipe.as_ref().and_then(|recipe| recipe.sampling.as_ref()) {
        match &sampling.condition {
            Condition::Unconditional => (),
            Condition::Class(class) => lines.push(format!("class {class}")),
            Condition::Prompt(caption) => lines.push(format!("caption \"{caption}\"")),
        }
        lines.push(format!("seed {}, number {}", sampling.seed, sampling.image));
    }
    if let Some(stack) = &item.stack {
        lines.push(format!("{}x{}x{} codes", stack.h(), stack.w(), stack.depth()));
    }
    lines.push("Click to select, double-click to open.".into());
    lines.join("\n")
}
