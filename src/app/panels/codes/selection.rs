//! Actions for the selected cells.

use eframe::egui::{Button, ComboBox, Slider, Ui};

use super::editor::named;
use crate::app::action::Action;
use crate::app::document::Document;
use crate::app::state::State;

/// A button's name, and how it changes whether a cell is selected.
type Selector = (&'static str, fn(bool) -> bool);

const SELECTORS: [Selector; 3] =
    [("Select all", |_| true), ("Select none", |_| false), ("Invert selection", |selected| !selected)];

/// Shows the size of the selection and the actions for it.
pub fn show(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    limit: &mut Option<usize>,
    actions: &mut Vec<Action>,
) {
    let count = document.selected.iter().filter(|selected| **selected).count();
    ui.strong(format!("{count} of {} cells selected", document.selected.len()));
    ui.horizontal_wrapped(|ui| {
        for (name, selector) in SELECTORS {
            if ui.button(name).clicked() {
                actions.push(Action::SelectBy(selector));
            }
        }
    });
    if count == 0 {
        ui.weak("Drag over the picture to select cells; hold Shift to deselect.");
    }
    ui.separator();
    ui.add_enabled_ui(count > 0, |ui| {
        resample(ui, state, document, actions);
        swap(ui, state, document, actions);
        limit_depth(ui, document, limit, actions);
    });
    ui.separator();
    let help = "Restores the codes as opened: for the selected cells, or for all if none are selected";
    if ui.button("Revert to opened").on_hover_text(help).clicked() {
        actions.push(Action::ResetSelected);
    }
}

fn resample(ui: &mut Ui, state: &State, document: &Document, actions: &mut Vec<Action>) {
    let lacking = state.lacks_transformer();
    if ui.add_enabled(lacking.is_none(), Button::new("Resample selected")).clicked() {
        actions.push(Action::ResampleSelected);
    }
    ui.weak(lacking.map_or_else(
        || format!("Samples new codes from the transformer{}.", named(&document.condition)),
        Into::into,
    ));
}

/// Offers to swap in cells from the gallery's stacks of the same shape.
fn swap(ui: &mut Ui, state: &State, document: &Document, actions: &mut Vec<Action>) {
    let shape = document.stack().shape();
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
        actions.push(Action::Swap(stack));
    }
}

/// Offers to limit the selected cells to `limit` codes.
fn limit_depth(ui: &mut Ui, document: &Document, limit: &mut Option<usize>, actions: &mut Vec<Action>) {
    let depth = document.stack().depth();
    let limit = limit.get_or_insert(depth);
    *limit = (*limit).min(depth);
    ui.add(Slider::new(limit, 0..=depth).text("Depth limit"));
    if ui.button("Limit selected").on_hover_text("Limits the selected cells to their first codes").clicked() {
        actions.push(Action::Limit(*limit));
    }
}
