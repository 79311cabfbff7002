//! The condition for the explanation: the class or caption given to the transformer.

use eframe::egui::Ui;

use crate::app::action::Action;
use crate::app::panels::condition::{self, Names};
use crate::app::state::State;
use residua_core::config::ConditionKind;
use residua_protocol::Condition;

const NAMES: Names =
    Names { class: "Explain as", caption: "Explain as a picture of", words: "Words to explain it with" };

/// Shows the condition and lets the user change it.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let (Some(loaded), Some(document)) = (&state.loaded, &state.document) else { return };
    let Some(stage2) = &loaded.stage2 else { return };
    let now = &document.condition;
    let chosen = match stage2.config.condition() {
        ConditionKind::Unconditional => {
            (*now != Condition::Unconditional).then_some(Condition::Unconditional)
        }
        _ => condition::show(ui, state, actions, &NAMES, now, &stage2.config),
    };
    actions.extend(chosen.map(Action::SetOpenCondition));
}
