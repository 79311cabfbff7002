//! Fields for a condition, shared by several panels: a class from a list, or a caption.

use eframe::egui::{ComboBox, Role, TextEdit, Ui};

use super::parts::named;
use crate::app::action::Action;
use crate::app::state::State;
use residua_core::config::{ConditionKind, RqTransformerConfig};
use residua_core::text::counted;
use residua_protocol::Condition;
use residua_protocol::condition::class_of;

/// The entry for no class in particular.
const ANY: &str = "any class";

/// The accessible names of the fields.
pub struct Names {
    /// Of the list of classes; with a class, that of an entry.
    pub class: &'static str,
    /// Of the caption.
    pub caption: &'static str,
    /// Of the list of known words.
    pub words: &'static str,
}

/// Shows the field for the conditions of `config`'s model. Returns the condition that the user changes `now` to.
pub fn show(
    ui: &mut Ui,
    state: &State,
    actions: &mut Vec<Action>,
    names: &Names,
    now: &Condition,
    config: &RqTransformerConfig,
) -> Option<Condition> {
    match config.condition() {
        ConditionKind::Unconditional => None,
        ConditionKind::Class => class(ui, names.class, now, config),
        ConditionKind::Text => caption(ui, state, actions, [names.caption, names.words], now, config),
    }
}

fn class(ui: &mut Ui, name: &str, now: &Condition, config: &RqTransformerConfig) -> Option<Condition> {
    let any = config.null_token().map(|_| None::<usize>);
    let shown = match now {
        Condition::Class(class) => class.as_str(),
        _ if any.is_some() => ANY,
        _ => "choose a class",
    };
    let numbers = any.into_iter().chain((0..config.vocab_size_cond).map(Some));
    let list = ComboBox::from_label(name).selected_text(shown).truncate().show_ui(ui, |ui| {
        let mut chosen = None;
        for number in numbers {
            let class = number.map_or_else(|| ANY.into(), |number| label(number, config));
            let response = ui.selectable_label(class == shown, &class);
            if named(response, Role::Button, &format!("{name} {class}")).clicked() {
                chosen = Some(number);
            }
        }
        chosen
    });
    let chosen = list.inner.flatten()?;
    Some(chosen.map_or(Condition::Unconditional, |number| class_of(number, config)))
}

/// The name of class `number`, or the number of a class without one.
fn label(number: usize, config: &RqTransformerConfig) -> String {
    config.classes.get(number).cloned().unwrap_or_else(|| number.to_string())
}

/// Shows a field for a caption, with what the tokenizer makes of it and the words that the model knows. `names` are the names
/// of the field and of the list of words. Returns the condition that the user changes `now` to.
pub fn caption(
    ui: &mut Ui,
    state: &State,
    actions: &mut Vec<Action>,
    [name, title]: [&str; 2],
    now: &Condition,
    config: &RqTransformerConfig,
) -> Option<Condition> {
    let mut text = if let Condition::Prompt(text) = now { text.clone() } else { String::new() };
    let label = ui.label(name);
    let field = TextEdit::multiline(&mut text)
        .hint_text("Describe the picture")
        .desired_rows(3)
        .desired_width(f32::INFINITY);
    let mut changed = ui.add(field).labelled_by(label.id).changed();
    tokens(ui, state, actions, &text, config.block_size_cond);
    if let Some(word) = words(ui, title, &config.dataset.words) {
        text = [text.trim_end(), word].join(" ").trim_start().into();
        changed = true;
    }
    let anything = config.null_token().is_some() && text.trim().is_empty();
    changed.then_some(if anything { Condition::Unconditional } else { Condition::Prompt(text) })
}

/// Shows how many of at most `most` tokens a caption has, and which of its words the model does not know. In a scope, because
/// the fields below would otherwise lose the focus when the answer comes.
fn tokens(ui: &mut Ui, state: &State, actions: &mut Vec<Action>, caption: &str, most: usize) {
    if state.needs_tokens_of(caption) {
        actions.push(Action::CountTokens(caption.into()));
    }
    ui.scope(|ui| {
        let Some(found) = state.tokens_of(caption) else { return };
        let cut = if found.tokens > most { "; the rest is cut off" } else { "" };
        ui.weak(format!("{} of {}{cut}", found.tokens, counted(most, "token")));
        if !found.unknown.is_empty() {
            let unknown = format!("Not in this model's vocabulary: {}", found.unknown.join(", "));
            ui.colored_label(ui.visuals().warn_fg_color, unknown);
        }
    });
}

/// Lists the words that the model knows, if they are listed in its configuration. Returns the clicked one.
fn words<'a>(ui: &mut Ui, title: &str, known: &'a [String]) -> Option<&'a str> {
    if known.is_empty() {
        return None;
    }
    let mut clicked = None;
    ui.collapsing(title, |ui| {
        ui.horizontal_wrapped(|ui| {
            for word in known {
                if ui.small_button(word).clicked() {
                    clicked = Some(word.as_str());
                }
            }
        });
    });
    clicked
}
