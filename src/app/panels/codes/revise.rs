//! Settings of the tool "Revise": strength, condition, mask and repetition.

use eframe::egui::{Button, DragValue, Slider, Ui};

use super::editor::named;
use crate::app::choose::{self, Wanted};
use crate::app::panels::condition::{self, Names};
use crate::app::state::State;
use residua_core::config::{Architecture, ConditionKind, RqTransformerConfig};
use residua_protocol::Condition;

/// Largest number of cells to revise in one go.
const MOST_CELLS: u32 = 64;

/// Names of the fields for a condition of the painted cells.
const NAMES: Names = Names {
    class: "Revise as",
    caption: "Caption of the painted cells",
    words: "Words for the painted cells",
};

/// Shows the tool's settings, and the actions after a stroke.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.strong("Revise cells");
    let loaded = state.loaded.clone();
    let Some(stage2) = loaded.as_ref().and_then(|loaded| loaded.stage2.as_ref()) else {
        ui.label("This model has no RQ-Transformer to resample cells with. Load one in Models.");
        return;
    };
    ui.label("Paint over a part of the picture. When you let go, the model resamples its codes.");
    ui.weak(match stage2.config.kind {
        Architecture::Contextual => "It sees all cells around the painted ones.",
        Architecture::Autoregressive => {
            "This model sees only the cells above the painted ones, and those to the left in their row. A contextual \
             RQ-Transformer sees all cells around them."
        }
    });
    ui.separator();
    strength(ui, state);
    condition(ui, state, &stage2.config);
    ui.separator();
    strokes(ui, state);
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

/// Chooses the condition of the painted cells: the picture's, or one of their own.
fn condition(ui: &mut Ui, state: &mut State, config: &RqTransformerConfig) {
    let Some(document) = &state.document else { return };
    let another = match config.condition() {
        ConditionKind::Unconditional => return,
        ConditionKind::Class => "Another class",
        ConditionKind::Text => "Another caption",
    };
    let of_picture = match &document.condition {
        Condition::Unconditional => ", without a condition".into(),
        condition => named(condition),
    };
    let own = &mut state.revising.condition;
    if ui.radio(own.is_none(), format!("As in the rest of the picture{of_picture}")).clicked() {
        *own = None;
    }
    if ui.radio(own.is_some(), another).clicked() && own.is_none() {
        // The one for new pictures is a start.
        *own = Some(state.condition.clone());
    }
    if let Some(now) = own.clone()
        && let Some(changed) = condition::show(ui, state, &NAMES, &now, config)
    {
        state.revising.condition = Some(changed);
    }
}

/// Revises other cells, or the same ones again.
fn strokes(ui: &mut Ui, state: &mut State) {
    ui.horizontal_wrapped(|ui| {
        let button = ui.add_enabled(state.can_revise_again(), Button::new("Again"));
        let help = "Resamples the painted cells with another seed";
        if button.on_hover_text(help).on_disabled_hover_text("Paint over some cells first").clicked() {
            state.revise_again();
        }
        let help = "Revises the cells under the white part of another picture, or under its transparent part";
        if ui.button("Load mask…").on_hover_text(help).clicked() {
            choose::open(state, Wanted::Mask);
        }
    });
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
    if let Some(surprise) = state.known_surprise()
        && let Some((cell, bits)) = surprise.worst()
    {
        let columns = surprise.stack.w();
        ui.label(format!("Worst: row {}, column {}, {bits:.1} bits", cell / columns, cell % columns));
    }
}
