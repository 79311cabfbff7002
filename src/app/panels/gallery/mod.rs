//! The "Gallery" panel: the pictures of the session and of a folder, and actions on them.

mod comparison;
mod morph;
mod thumbnails;
mod toolbar;

use eframe::egui::Ui;

use crate::app::action::Action;
use crate::app::state::State;
use residua_protocol::MorphPlan;

/// The state of the panel.
pub struct GalleryView {
    /// The morph whose settings are open, if any.
    pub morph: Option<MorphPlan>,
    /// Fraction of the width, from the left, that shows the first picture; in `[0, 1]`.
    wipe: f32,
    /// Number of pictures in the last frame.
    count: usize,
}

impl Default for GalleryView {
    fn default() -> Self {
        Self { morph: None, wipe: 0.5, count: 0 }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, view: &mut GalleryView, actions: &mut Vec<Action>) {
    toolbar::show(ui, state, &mut view.morph, actions);
    if state.gallery.items.is_empty() {
        ui.label(
            "No pictures yet: press Generate, keep one from the File menu, or show a folder of pictures.",
        );
    } else {
        thumbnails::show(ui, state, &mut view.count, actions);
    }
    comparison::show(ui.ctx(), state, &mut view.wipe, actions);
    morph::show(ui.ctx(), state, &mut view.morph, actions);
}
