//! The panel "Generate": the condition, the sampling settings and previews of new pictures.

mod condition;
mod filters;
mod growing;
mod reuse;

use eframe::egui::{DragValue, ScrollArea, Ui};

use crate::app::state::State;

/// Largest number of pictures per run.
const MOST_PICTURES: u32 = 1000;
/// The largest seed that can be typed: the widget holds an f64, which is exact up to here.
const LARGEST_TYPED_SEED: u64 = 1 << 53;

/// State of the panel.
#[derive(Default)]
pub struct GenerateView {
    /// The class search text.
    search: String,
    /// Whether to show separate filters for each depth, even if they are equal.
    each_depth: bool,
    /// Rows of the open picture to keep.
    rows: usize,
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    let missing = missing(state);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        if let Some(missing) = missing {
            ui.label(missing);
        }
        ui.add_enabled_ui(missing.is_none(), |ui| {
            condition::show(ui, state);
            ui.separator();
            seed(ui, state);
            count(ui, state);
            ui.separator();
            filters::show(ui, state);
            ui.separator();
            if ui.button("Generate (Ctrl+Enter)").clicked() {
                state.generate();
            }
            growing::show(ui, state);
            ui.separator();
            reuse::show(ui, state);
        });
    });
}

/// What to do before sampling is possible.
fn missing(state: &State) -> Option<&'static str> {
    match &state.loaded {
        None => Some("No model is loaded yet: choose one in Models."),
        Some(loaded) if loaded.stage2.is_none() => Some(
            "This model has no RQ-Transformer, which sampling needs: load a model with a stage 2 in Models.",
        ),
        Some(_) => None,
    }
}

fn seed(ui: &mut Ui, state: &mut State) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Seed");
        let exact = state.settings.seed.to_string();
        let field = DragValue::new(&mut state.settings.seed)
            .range(0..=LARGEST_TYPED_SEED)
            .clamp_existing_to_range(false)
            .custom_formatter(move |_, _| exact.clone());
        ui.add(field)
            .labelled_by(label.id)
            .on_hover_text("The seed of the next pictures; the same seed makes the same pictures.");
        ui.checkbox(&mut state.settings.seed_locked, "Lock")
            .on_hover_text("Keep the seed. If unlocked, it changes after each use.");
        if ui.button("Random").clicked() {
            state.random_seed();
        }
    });
}

fn count(ui: &mut Ui, state: &mut State) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Pictures");
        let field = DragValue::new(&mut state.settings.count).range(1..=MOST_PICTURES);
        ui.add(field).labelled_by(label.id);
        ui.checkbox(&mut state.settings.preview, "Show previews")
            .on_hover_text("Decoding the unfinished pictures takes some time.");
    });
}
