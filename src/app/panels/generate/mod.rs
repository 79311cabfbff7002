//! The panel "Generate": the condition, the sampling settings and previews of new pictures.

mod condition;
mod filters;
mod growing;
mod reuse;

use eframe::egui::{DragValue, ScrollArea, Ui};

use crate::app::action::Action;
use crate::app::panels::parts::main_button;
use crate::app::settings::Settings;
use crate::app::state::State;
use residua_protocol::SamplePlan;

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
pub fn show(ui: &mut Ui, state: &State, view: &mut GenerateView, actions: &mut Vec<Action>) {
    let missing = state.lacks_transformer();
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        if let Some(missing) = missing {
            ui.label(missing);
        }
        ui.add_enabled_ui(missing.is_none(), |ui| {
            condition::show(ui, state, &mut view.search, actions);
            ui.separator();
            settings(ui, state, &mut view.each_depth, actions);
            ui.separator();
            if ui.add(main_button(ui, "Generate (Ctrl+Enter)")).clicked() {
                actions.push(Action::Generate);
            }
            growing::show(ui, state, actions);
            ui.separator();
            reuse::show(ui, state, &mut view.rows, actions);
        });
    });
}

/// Shows the settings of the next pictures.
fn settings(ui: &mut Ui, state: &State, each_depth: &mut bool, actions: &mut Vec<Action>) {
    let mut settings = state.settings.clone();
    seed(ui, &mut settings);
    count(ui, &mut settings);
    ui.separator();
    if let Some(loaded) = &state.loaded {
        filters::show(ui, loaded, state.filters(), each_depth, &mut settings.filters);
    }
    if settings != state.settings {
        actions.push(Action::Set(Box::new(settings)));
    }
}

fn seed(ui: &mut Ui, settings: &mut Settings) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Seed");
        let exact = settings.seed.to_string();
        let field = DragValue::new(&mut settings.seed)
            .range(0..=LARGEST_TYPED_SEED)
            .clamp_existing_to_range(false)
            .custom_formatter(move |_, _| exact.clone());
        ui.add(field)
            .labelled_by(label.id)
            .on_hover_text("The seed of the next pictures; the same seed makes the same pictures.");
        ui.checkbox(&mut settings.seed_locked, "Lock")
            .on_hover_text("Keep the seed. If unlocked, it changes after each use.");
        if ui.button("Random").clicked() {
            settings.random_seed();
        }
    });
}

fn count(ui: &mut Ui, settings: &mut Settings) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Pictures");
        let field = DragValue::new(&mut settings.count).range(1..=SamplePlan::MOST_PICTURES);
        ui.add(field).labelled_by(label.id);
        ui.checkbox(&mut settings.preview, "Show previews")
            .on_hover_text("Decoding the unfinished pictures takes some time.");
    });
}
