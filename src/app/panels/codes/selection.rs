//! Actions for the selected cells.

use eframe::egui::{Button, ComboBox, Slider, Ui};

use super::editor::named;
use crate::app::document::Document;
use crate::app::state::State;

/// A button's name, and how it changes whether a cell is selected.
type Selector = (&'static str, fn(bool) -> bool);

const SELECTORS: [Selector; 3] =
    [("Select all", |_| true), ("Select none", |_| false), ("Invert selection", |selected| !selected)];

/// Shows the size of the selection and the actions for it.
pub fn show(ui: &mut Ui, state: &mut State) {
    let Some(document) = &mut state.document else { return };
    let count = document.selected.iter().filter(|selected| **selected).count();
    ui.strong(format!("{count} of {} cells selected", document.selected.len()));
    ui.horizontal_wrapped(|ui| {
        for (name, selector) in SELECTORS {
            if ui.button(name).clicked() {
                document.selected.iter_mut().for_each(|selected| *selected = selector(*selected));
            }
        }
    });
    if count == 0 {
        ui.weak("Drag over the picture to select cells; hold Shift to deselect.");
    }
    ui.separator();
    ui.add_enabled_ui(count > 0, |ui| {
        resample(ui, state);
        swap(ui, state);
        limit(ui, state);
    });
    ui.separator();
    let help = "Restores the codes as opened: for the selected cells, or for all if none are selected";
    if ui.button("Revert to opened").on_hover_text(help).clicked() {
        state.edit(|document| Ok(document.reset_selected()));
    }
}

fn resample(ui: &mut Ui, state: &mut State) {
    let possible = state.loaded.as_ref().is_some_and(|loaded| loaded.stage2.is_some());
    let condition = state.document.as_ref().map(|document| named(&document.condition));
    if ui.add_enabled(possible, Button::new("Resample selected")).clicked() {
        state.resample_selected();
    }
    ui.weak(match possible {
        true => format!("Samples new codes from the transformer{}.", condition.unwrap_or_default()),
        false => "This model has no RQ-Transformer to sample with.".into(),
    });
}

/// Offers to swap in cells from the gallery's stacks of the same shape.
fn swap(ui: &mut Ui, state: &mut State) {
    let Some(shape) = state.document.as_ref().map(|document| document.stack().shape()) else { return };
    let fitting = state.gallery.items.iter().enumerate().filter_map(|(index, item)| {
        let stack = item.stack.clone().filter(|stack| stack.shape() == shape)?;
        Some((format!("{}: {}", index + 1, item.name), stack))
    });
    let mut fitting = fitting.peekable();
    if fitting.peek().is_none() {
        ui.weak("To swap in cells from another picture, add one to the gallery first.");
        return;
    }
    let chosen = ComboBox::from_label("Swap from")
        .selected_text("another picture")
        .show_ui(ui, |ui| fitting.filter(|(name, _)| ui.selectable_label(false, name).clicked()).last());
    if let Some((_, stack)) = chosen.inner.flatten() {
        state.edit(|document| document.take_selected(&stack));
    }
}

fn limit(ui: &mut Ui, state: &mut State) {
    let Some(depth) = state.document.as_ref().map(|document: &Document| document.stack().depth()) else {
        return;
    };
    let limit = state.codes_view.limit.get_or_insert(depth);
    *limit = (*limit).min(depth);
    ui.add(Slider::new(limit, 0..=depth).text("Depth limit"));
    let limit = *limit;
    if ui.button("Limit selected").on_hover_text("Limits the selected cells to their first codes").clicked() {
        state.edit(|document| Ok(document.limit_selected(limit)));
    }
}
