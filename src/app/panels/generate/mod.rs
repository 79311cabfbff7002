//! The panel "Generate": what new pictures are made from, how their codes are drawn, and the pictures as they grow.

mod condition;
mod filters;
mod growing;
mod reuse;

use eframe::egui::{DragValue, ScrollArea, Ui};

use crate::app::state::State;
use crate::engine::studio::CaptionTokens;

/// Pictures that can be asked for at a time.
const MOST_PICTURES: u32 = 1000;
/// The largest seed that can be typed: whole numbers up to here are exact as the widget holds them.
const LARGEST_TYPED_SEED: u64 = 1 << 53;

/// Where the person is in the panel.
#[derive(Default)]
pub struct GenerateView {
    /// What is searched for among the classes.
    search: String,
    /// The caption whose tokens were asked for last.
    asked: Option<String>,
    /// What is known of the caption that was counted last.
    pub counted: Option<CaptionTokens>,
    /// Whether each depth has filters of its own, even if they are the same.
    each_depth: bool,
    /// Rows of the open picture that are kept.
    rows: usize,
}

impl GenerateView {
    /// Another model counts otherwise.
    pub fn forget_counted(&mut self) {
        self.asked = None;
        self.counted = None;
    }
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

/// What there is to do before anything can be sampled.
fn missing(state: &State) -> Option<&'static str> {
    match &state.loaded {
        None => Some("No model is loaded yet: choose one in Models."),
        Some(loaded) if loaded.stage2.is_none() => Some(
            "This model has no RQ-Transformer, which is what makes new pictures: load one that has it in Models.",
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
