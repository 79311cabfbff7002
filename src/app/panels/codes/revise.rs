//! Settings of the tool "Revise": strength, condition and repetition.

use eframe::egui::{Button, DragValue, Slider, Ui};

use super::editor::named;
use crate::app::state::State;
use residua_core::config::Architecture;
use residua_protocol::Condition;

/// Largest number of cells to revise in one go.
const MOST_CELLS: u32 = 64;

/// Shows the tool's settings, and the actions after a stroke.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.strong("Revise cells");
    let Some(kind) = state.loaded.as_ref().and_then(|loaded| Some(loaded.stage2.as_ref()?.config.kind))
    else {
        ui.label("This model has no RQ-Transformer to resample cells with. Load one in Models.");
        return;
    };
    ui.label("Paint over a part of the picture. When you let go, the model resamples its codes.");
    ui.weak(match kind {
        Architecture::Contextual => "It sees all cells around the painted ones.",
        Architecture::Autoregressive => {
            "This model sees only the cells above the painted ones, and those to the left in their row. A contextual \
             RQ-Transformer sees all cells around them."
        }
    });
    ui.separator();
    strength(ui, state);
    condition(ui, state);
    ui.separator();
    let button = ui.add_enabled(state.can_revise_again(), Button::new("Again"));
    let help = "Resamples the painted cells with another seed";
    if button.on_hover_text(help).on_disabled_hover_text("Paint over some cells first").clicked() {
        state.revise_again();
    }
    worst(ui, state);
}

fn strength(ui: &mut Ui, state: &mut State) {
    let Some(depth) = state.document.as_ref().map(|document| document.stack().depth()) else { return };
    let mut strength = state.revising.strength.unwrap_or(depth).min(depth);
    let slider = Slider::new(&mut strength, 1..=depth).text("Strength");
    let help =
        "How many codes of each painted cell are resampled, from the deepest up. Fewer change details only.";
    if ui.add(slider).on_hover_text(help).changed() {
        state.revising.strength = (strength < depth).then_some(strength);
    }
}

/// Chooses the revision's condition: the open picture's, or the one for new pictures.
fn condition(ui: &mut Ui, state: &mut State) {
    let Some(document) = &state.document else { return };
    let (own, other) = (document.condition.clone(), state.condition.clone());
    if own == other {
        return;
    }
    let of = |condition: &Condition| match condition {
        Condition::Unconditional => ", without a condition".into(),
        condition => named(condition),
    };
    ui.radio_value(
        &mut state.revising.generates,
        false,
        format!("As in the rest of the picture{}", of(&own)),
    );
    ui.radio_value(&mut state.revising.generates, true, format!("As set in Generate{}", of(&other)));
}

/// Revises the cells that the model finds least likely.
fn worst(ui: &mut Ui, state: &mut State) {
    ui.separator();
    ui.strong("Where does it not fit?");
    ui.weak("The view Surprise shows which cells the model finds unlikely.");
    ui.horizontal_wrapped(|ui| {
        let count = &mut state.codes_view.worst;
        *count = (*count).max(1);
        let label = ui.label("Worst cells");
        ui.add(DragValue::new(count).range(1..=MOST_CELLS)).labelled_by(label.id);
        let count = *count;
        if ui
            .button("Revise worst")
            .on_hover_text("Revises one cell at a time, always the currently worst one")
            .clicked()
        {
            state.revise_worst(count);
        }
    });
}
