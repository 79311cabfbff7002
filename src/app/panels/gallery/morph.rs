//! A window with the settings of a morph.

use eframe::egui::{Align2, Context, DragValue, Ui, Window};

use crate::app::action::Action;
use crate::app::state::State;
use residua_core::config::Architecture;
use residua_core::sampling::morph::MorphOrder;
use residua_protocol::MorphPlan;

/// Largest number of frames: all of them are in memory at once.
const MOST_FRAMES: u32 = 240;

/// Orders with their names and descriptions.
const ORDERS: [(MorphOrder, &str, &str); 3] = [
    (MorphOrder::Distance, "From the middle outward", "Cells change by their distance from the middle"),
    (MorphOrder::Raster, "Row by row", "Cells change from the top left to the bottom right"),
    (MorphOrder::Random, "In random order", "Cells change in an order drawn from the seed in Generate"),
];

/// Shows the settings, if a morph is being set up.
pub fn show(ctx: &Context, state: &State, morph: &mut Option<MorphPlan>, actions: &mut Vec<Action>) {
    let Some(mut plan) = morph.take() else { return };
    let kind = state.loaded.as_ref().and_then(|loaded| Some(loaded.stage2.as_ref()?.config.kind));
    let [mut saved, mut closed] = [false; 2];
    Window::new("Morph between two pictures")
        .pivot(Align2::CENTER_CENTER)
        .default_pos(ctx.content_rect().center())
        .resizable(false)
        .collapsible(false)
        .show(ctx, |ui| {
            settings(ui, &mut plan);
            if kind == Some(Architecture::Contextual) {
                ui.weak("In each frame, the model revises the cells where the two pictures meet.");
            }
            ui.horizontal(|ui| {
                saved = ui.button("Save the morph…").clicked();
                closed = ui.button("Close the morph").clicked();
            });
        });
    if saved {
        actions.push(Action::SaveMorph(plan));
    } else if !closed {
        *morph = Some(plan);
    }
}

fn settings(ui: &mut Ui, plan: &mut MorphPlan) {
    for (order, name, help) in ORDERS {
        ui.radio_value(&mut plan.morph.order, order, name).on_hover_text(help);
    }
    ui.horizontal(|ui| {
        let label = ui.label("Frames");
        let help = "The first and the last picture included";
        ui.add(DragValue::new(&mut plan.morph.frames).range(2..=MOST_FRAMES))
            .labelled_by(label.id)
            .on_hover_text(help);
    });
    ui.horizontal(|ui| {
        let label = ui.label("Time per frame");
        ui.add(DragValue::new(&mut plan.milliseconds).range(10..=5000).suffix(" ms")).labelled_by(label.id);
    });
}
