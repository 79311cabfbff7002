//! The "Explain" panel: which codes the transformer expects at a position, and where in the stack it was unsure.

mod condition;
mod distribution;
mod unsure;

use eframe::egui::{ScrollArea, Ui};

use crate::app::action::Action;
use crate::app::panels::parts::column;
use crate::app::state::State;

/// Width from which the parts are shown side by side.
const WIDE: f32 = 700.0;

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if let Some(missing) = missing(state) {
        ui.label(missing);
        return;
    }
    if ui.available_width() < WIDE {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            condition::show(ui, state, actions);
            distribution::show_chart(ui, state, actions);
            distribution::show_suggestions(ui, state, actions);
            ui.separator();
            unsure::show(ui, state, actions);
        });
        return;
    }
    ui.columns(3, |columns| {
        column(&mut columns[0], "chart", |ui| {
            condition::show(ui, state, actions);
            distribution::show_chart(ui, state, actions);
        });
        column(&mut columns[1], "suggestions", |ui| distribution::show_suggestions(ui, state, actions));
        column(&mut columns[2], "unsure", |ui| unsure::show(ui, state, actions));
    });
}

/// What the user has to do before anything can be explained.
fn missing(state: &State) -> Option<&'static str> {
    let closed = state.document.is_none().then_some("Open a picture or codes: drop a file on the window.");
    state.lacks_transformer().or(closed)
}
