//! The panel "Codebook".

use std::sync::Arc;

use eframe::egui::Ui;

use crate::app::state::State;
use crate::engine::studio::{Neighbours, Usage};

/// View.
#[derive(Default)]
pub struct CodebookView {
    /// N.
    pub neighbours: Option<Arc<Neighbours>>,
}
impl CodebookView {
    /// C.
    pub fn counted(&mut self, _: &Usage) {}
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.label(state.device);
}
