//! The panel "Gallery": the pictures of the session and of a folder, and what can be done with them.

mod comparison;
mod dialogs;
mod thumbnails;
mod toolbar;

use eframe::egui::Ui;

use crate::app::gallery::Comparison;
use crate::app::state::State;

/// Where the person is in the panel.
pub struct GalleryView {
    /// The pictures that are compared.
    pub comparison: Option<Comparison>,
    /// Part of the wipe that shows the first of them, from the left.
    wipe: f32,
    /// Pictures that the last frame had.
    count: usize,
}

impl Default for GalleryView {
    fn default() -> Self {
        Self { comparison: None, wipe: 0.5, count: 0 }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    if state.read_folder() {
        ui.ctx().request_repaint();
    }
    toolbar::show(ui, state);
    if state.gallery.items.is_empty() {
        ui.label(
            "No pictures yet: press Generate, keep one from the File menu, or show a folder of pictures.",
        );
    } else {
        thumbnails::show(ui, state);
    }
    comparison::show(ui.ctx(), state);
}
