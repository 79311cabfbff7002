//! The condition for the explanation: the class or caption given to the transformer.

use eframe::egui::{ComboBox, Role, TextEdit, Ui};

use crate::app::panels::parts::named;
use crate::app::state::State;
use residua_core::config::ConditionKind;
use residua_protocol::Condition;

/// Shows the condition and lets the user change it.
pub fn show(ui: &mut Ui, state: &mut State) {
    let (Some(loaded), Some(document)) = (state.loaded.clone(), &state.document) else { return };
    let Some(stage2) = &loaded.stage2 else { return };
    let now = document.condition.clone();
    let chosen = match stage2.config.condition() {
        ConditionKind::Unconditional if now != Condition::Unconditional => Some(Condition::Unconditional),
        ConditionKind::Unconditional => None,
        ConditionKind::Class => {
            let numbers = stage2.config.classes.len()..stage2.config.vocab_size_cond;
            let names = stage2.config.classes.iter().cloned();
            class(ui, &now, names.chain(numbers.map(|number| number.to_string())))
        }
        ConditionKind::Text => caption(ui, &now),
    };
    if let Some(condition) = chosen {
        state.set_condition(condition);
    }
}

fn class(ui: &mut Ui, now: &Condition, classes: impl Iterator<Item = String>) -> Option<Condition> {
    let shown = if let Condition::Class(class) = now { class } else { "choose a class" };
    let list = ComboBox::from_label("Explain as").selected_text(shown).truncate().show_ui(ui, |ui| {
        let mut chosen = None;
        for class in classes {
            let response = ui.selectable_label(class == *shown, &class);
            if named(response, Role::Button, &format!("Explain as {class}")).clicked() {
                chosen = Some(Condition::Class(class));
            }
        }
        chosen
    });
    list.inner.flatten()
}

fn caption(ui: &mut Ui, now: &Condition) -> Option<Condition> {
    let mut text = if let Condition::Prompt(text) = now { text.clone() } else { String::new() };
    let name = ui.label("Explain as a picture of");
    let field = TextEdit::singleline(&mut text).hint_text("a caption").desired_width(f32::INFINITY);
    ui.add(field).labelled_by(name.id).changed().then_some(Condition::Prompt(text))
}
