//! The first steps: from the open picture to the first edited code in three clicks.

use eframe::egui::{Panel, Ui};

use super::state::State;

/// Shows the next step until the user edits a code or dismisses the hint.
pub fn show(ui: &mut Ui, state: &mut State) {
    if !state.settings.hint {
        return;
    }
    let Some(document) = &state.document else { return };
    if document.undoable().is_some() {
        state.settings.hint = false;
        return;
    }
    let step = match document.pinned {
        None => "1. Click a cell in the code stack.",
        Some(_) => "2. Click one of its codes. 3. Click another code to put there.",
    };
    Panel::top("first steps").show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.strong("First steps");
            ui.label("This picture is made of stacked codes.");
            ui.label(step);
            if ui.button("Got it").clicked() {
                state.settings.hint = false;
            }
        });
    });
}
