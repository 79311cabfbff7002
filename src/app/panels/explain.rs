//! The panel "Explain".

use eframe::egui::Ui;

use crate::app::state::State;

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.label(state.device);
}
