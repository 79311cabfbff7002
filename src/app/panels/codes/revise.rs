//! Settings of the tool "Revise": strength, condition, mask and repetition.

use eframe::egui::{Button, DragValue, Slider, Ui};

use super::editor::named;
use crate::app::action::Action;
use crate::app::choose::Wanted;
use crate::app::document::Document;
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
pub fn show(ui: &mut Ui, state: &State, document: &Document, worst: &mut u32, actions: &mut Vec<Action>) {
    ui.strong("Revise cells");
    let Some(stage2) = state.loaded.as_ref().and_then(|loaded| loaded.stage2.as_ref()) else {
        ui.label(state.lacks_transformer().unwrap_or_default());
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
    shape(ui, state, actions);
    strength(ui, state, document.stack().depth(), actions);
    condition(ui, state, document, &stage2.config, actions);
    ui.separator();
    strokes(ui, state, actions);
    worst_cells(ui, state, worst, actions);
}

/// Shapes of a stroke: whether it is a rectangle, its name and description.
const SHAPES: [(bool, &str, &str); 2] = [
    (false, "Paint cells", "A stroke revises the cells that it passes"),
    (true, "Paint a rectangle", "A stroke revises the cells in the rectangle that it spans"),
];

fn shape(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        for (rectangle, name, help) in SHAPES {
            let chosen = state.revising.rectangle == rectangle;
            if ui.selectable_label(chosen, name).on_hover_text(help).clicked() {
                actions.push(Action::ReviseRectangles(rectangle));
            }
        }
    });
}

fn strength(ui: &mut Ui, state: &State, depth: usize, actions: &mut Vec<Action>) {
    let mut strength = state.revising.strength.unwrap_or(depth).min(depth);
    let slider = Slider::new(&mut strength, 1..=depth).text("Strength");
    let help =
        "How many codes of each painted cell are resampled, from the deepest up. Fewer change details only.";
    if ui.add(slider).on_hover_text(help).changed() {
        actions.push(Action::SetStrength((strength < depth).then_some(strength)));
    }
}

/// Chooses the condition of the painted cells: the picture's, or one of their own.
fn condition(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    config: &RqTransformerConfig,
    actions: &mut Vec<Action>,
) {
    let another = match config.condition() {
        ConditionKind::Unconditional => return,
        ConditionKind::Class => "Another class",
        ConditionKind::Text => "Another caption",
    };
    let of_picture = match &document.condition {
        Condition::Unconditional => ", without a condition".into(),
        condition => named(condition),
    };
    let own = &state.revising.condition;
    if ui.radio(own.is_none(), format!("As in the rest of the picture{of_picture}")).clicked() {
        actions.push(Action::ReviseAs(None));
    }
    if ui.radio(own.is_some(), another).clicked() && own.is_none() {
        // The one for new pictures is a start.
        actions.push(Action::ReviseAs(Some(state.condition.clone())));
    }
    if let Some(now) = own
        && let Some(changed) = condition::show(ui, state, actions, &NAMES, now, config)
    {
        actions.push(Action::ReviseAs(Some(changed)));
    }
}

/// Revises other cells, or the same ones again.
fn strokes(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        let button = ui.add_enabled(state.can_revise_again(), Button::new("Again"));
        let help = "Resamples the painted cells with another seed";
        if button.on_hover_text(help).on_disabled_hover_text("Paint over some cells first").clicked() {
            actions.push(Action::ReviseAgain);
        }
        let help = "Revises the cells under the white part of another picture, or under its transparent part";
        if ui.button("Load mask…").on_hover_text(help).clicked() {
            actions.push(Action::Choose(Wanted::Mask));
        }
    });
}

/// Revises the cells that the model finds least likely.
fn worst_cells(ui: &mut Ui, state: &State, count: &mut u32, actions: &mut Vec<Action>) {
    ui.separator();
    ui.strong("Where does it not fit?");
    ui.weak("The view Surprise shows which cells the model finds unlikely.");
    ui.horizontal_wrapped(|ui| {
        *count = (*count).max(1);
        let label = ui.label("Worst cells");
        ui.add(DragValue::new(count).range(1..=MOST_CELLS)).labelled_by(label.id);
        if ui
            .button("Revise worst")
            .on_hover_text("Revises one cell at a time, always the currently worst one")
            .clicked()
        {
            actions.push(Action::ReviseWorst(*count));
        }
    });
    if let Some(surprise) = state.known_surprise()
        && let Some((cell, bits)) = surprise.worst()
    {
        let columns = surprise.stack.w();
        ui.label(format!("Worst: row {}, column {}, {bits:.1} bits", cell / columns, cell % columns));
    }
}
