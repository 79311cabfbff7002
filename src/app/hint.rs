//! The first steps: from the open picture to a revision, and back.

use eframe::egui::{Panel, Ui};

use super::state::State;

/// Shows the next step, until a change is undone or the hint is dismissed.
pub fn show(ui: &mut Ui, state: &mut State) {
    if !state.settings.hint {
        return;
    }
    let Some(document) = &state.document else { return };
    let step = match (document.undoable(), document.redoable()) {
        (None, None) if state.has_transformer() => {
            "This picture is made of stacked codes. Choose Revise, and paint over a part of it."
        }
        (None, None) => "This picture is made of stacked codes. Click a cell, then another code for it.",
        (Some(_), _) => "The codes have changed, and the picture with them. Now press Undo.",
        (None, Some(_)) => {
            state.settings.hint = false;
            return;
        }
    };
    Panel::top("first steps").show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.strong("First steps");
            ui.label(step);
            if ui.button("Got it").clicked() {
                state.settings.hint = false;
            }
        });
    });
}
