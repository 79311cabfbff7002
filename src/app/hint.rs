//! The first steps: from the open picture to the first edited code in three clicks.

use eframe::egui::{Align2, Context, Window};

use super::state::State;

/// Shows the next step, until the first code is changed or the person has seen enough.
pub fn show(ctx: &Context, state: &mut State) {
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
        Some(_) => "2. Click one of its codes.\n3. Click another code that could stand there.",
    };
    Window::new("First steps")
        .anchor(Align2::LEFT_BOTTOM, [12.0, -40.0])
        .resizable(false)
        .collapsible(false)
        .show(ctx, |ui| {
            ui.label("This picture is made of stacked codes.");
            ui.label(step);
            if ui.button("Enough").clicked() {
                state.settings.hint = false;
            }
        });
}
