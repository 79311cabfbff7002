//! The first steps: a picture is opened, a part of it revised, and the change undone.

use eframe::egui::{Panel, Ui};

use super::action::Action;
use super::state::State;
use super::tool::Tool;

/// Shows the next step, until a change is undone or the hint is dismissed.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if !state.settings.hint {
        return;
    }
    let Some(step) = next_step(state) else { return actions.push(Action::DismissHint) };
    Panel::top("first steps").show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.strong("First steps");
            ui.label(step);
            if ui.button("Got it").clicked() {
                actions.push(Action::DismissHint);
            }
        });
    });
}

/// What to do next; `None` after the last step.
fn next_step(state: &State) -> Option<&'static str> {
    let Some(document) = &state.document else {
        return Some(if state.is_busy() {
            "A first picture and a model are being opened."
        } else {
            "Open a picture: drop it on the window, paste it, or press Open picture…."
        });
    };
    match (document.undoable(), document.redoable()) {
        (None, None) if !state.has_transformer() => {
            Some("This picture is made of stacked codes. Click a cell, then another code for it.")
        }
        (None, None) if state.jobs.are_replacing() => Some("The model resamples the painted cells."),
        (None, None) if state.tool == Tool::Revise => {
            Some("Paint over a part of the picture, and let go: the model resamples it.")
        }
        (None, None) => {
            Some("This picture is made of stacked codes. Choose Revise, and paint over a part of it.")
        }
        (Some(_), _) => Some("The codes have changed, and the picture with them. Now press Undo."),
        (None, Some(_)) => None,
    }
}
