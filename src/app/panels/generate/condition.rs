//! The condition for new pictures: none, a class from a searchable list, or a caption.

use eframe::egui::{Button, DragValue, ScrollArea, TextEdit, Ui};

use crate::app::action::Action;
use crate::app::panels::condition::caption;
use crate::app::state::State;
use residua_core::config::{ConditionKind, RqTransformerConfig};
use residua_protocol::Condition;
use residua_protocol::condition::{class_number, class_of};

/// Height of the class list, in points.
const LIST_HEIGHT: f32 = 130.0;

/// Names of the caption and of the list of words.
const CAPTION: [&str; 2] = ["Caption", "Words that this model knows"];

/// Shows the kind of condition that the loaded model takes.
pub fn show(ui: &mut Ui, state: &State, search: &mut String, actions: &mut Vec<Action>) {
    let Some(stage2) = state.loaded.as_ref().and_then(|loaded| loaded.stage2.as_ref()) else { return };
    let chosen = match stage2.config.condition() {
        ConditionKind::Unconditional => {
            ui.label("This model is unconditional: it makes pictures from nothing but the seed.");
            None
        }
        ConditionKind::Class if stage2.config.classes.is_empty() => number(ui, state, &stage2.config),
        ConditionKind::Class => classes(ui, state, search, &stage2.config),
        ConditionKind::Text => caption(ui, state, actions, CAPTION, &state.condition, &stage2.config),
    };
    actions.extend(chosen.map(Action::SetCondition));
}

/// The chosen class's number.
fn chosen(state: &State, config: &RqTransformerConfig) -> Option<usize> {
    let Condition::Class(class) = &state.condition else { return None };
    class_number(class, config).ok().map(|number| number as usize)
}

/// Shows a field for a class's number. Returns the class that the user changes to.
fn number(ui: &mut Ui, state: &State, config: &RqTransformerConfig) -> Option<Condition> {
    let mut number = chosen(state, config).unwrap_or(0);
    let field = ui.horizontal(|ui| {
        let label = ui.label("Class number");
        let field = DragValue::new(&mut number).range(0..=config.vocab_size_cond - 1);
        ui.add(field).labelled_by(label.id)
    });
    field.inner.changed().then(|| Condition::Class(number.to_string()))
}

/// Shows the classes whose names contain `search`. Returns the condition that the user changes to.
fn classes(
    ui: &mut Ui,
    state: &State,
    search: &mut String,
    config: &RqTransformerConfig,
) -> Option<Condition> {
    let mut picked = None;
    let chosen = chosen(state, config);
    let name = chosen.and_then(|number| config.classes.get(number)).map_or("none chosen", String::as_str);
    ui.label(format!("Class: {name}"));
    if config.null_token().is_some() && ui.add_enabled(chosen.is_some(), Button::new("Any class")).clicked() {
        picked = Some(Condition::Unconditional);
    }
    ui.add(TextEdit::singleline(search).hint_text("Search by name or number").desired_width(f32::INFINITY))
        .accessible_name("Search classes");
    let found = matching(&config.classes, search);
    if found.is_empty() {
        ui.label("No class with this name or number.");
    }
    let height = ui.spacing().interact_size.y;
    let list = ScrollArea::vertical().id_salt("classes").max_height(LIST_HEIGHT).auto_shrink([false, true]);
    list.show_rows(ui, height, found.len(), |ui, rows| {
        for &number in &found[rows] {
            let name = &config.classes[number];
            let entry = Button::selectable(chosen == Some(number), name).truncate();
            if ui.add(entry).clicked() {
                picked = Some(class_of(number, config));
            }
        }
    });
    picked
}

/// The classes whose name contains `search`, ignoring case, or whose number it is.
fn matching(classes: &[String], search: &str) -> Vec<usize> {
    let search = search.trim().to_lowercase();
    let number = search.parse().ok();
    let fits = |index: usize| number == Some(index) || classes[index].to_lowercase().contains(&search);
    (0..classes.len()).filter(|&index| fits(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name_and_number() {
        let classes = ["Great White", "tench", "White wolf"].map(String::from);
        assert_eq!(matching(&classes, ""), [0, 1, 2]);
        assert_eq!(matching(&classes, " white"), [0, 2]);
        assert_eq!(matching(&classes, "1"), [1]);
        assert!(matching(&classes, "cat").is_empty());
    }
}
