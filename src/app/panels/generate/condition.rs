//! The condition for new pictures: none, a class from a searchable list, or a caption.

use eframe::egui::{Button, DragValue, ScrollArea, TextEdit, Ui};

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
pub fn show(ui: &mut Ui, state: &mut State) {
    let Some(loaded) = state.loaded.clone() else { return };
    let Some(stage2) = &loaded.stage2 else { return };
    match stage2.config.condition() {
        ConditionKind::Unconditional => {
            ui.label("This model is unconditional: it makes pictures from nothing but the seed.");
        }
        ConditionKind::Class if stage2.config.classes.is_empty() => number(ui, state, &stage2.config),
        ConditionKind::Class => classes(ui, state, &stage2.config),
        ConditionKind::Text => {
            let now = state.condition.clone();
            if let Some(condition) = caption(ui, state, CAPTION, &now, &stage2.config) {
                state.condition = condition;
            }
        }
    }
}

/// The chosen class's number.
fn chosen(state: &State, config: &RqTransformerConfig) -> Option<usize> {
    let Condition::Class(class) = &state.condition else { return None };
    class_number(class, config).ok().map(|number| number as usize)
}

fn number(ui: &mut Ui, state: &mut State, config: &RqTransformerConfig) {
    let mut number = chosen(state, config).unwrap_or(0);
    ui.horizontal(|ui| {
        let label = ui.label("Class number");
        let field = DragValue::new(&mut number).range(0..=config.vocab_size_cond - 1);
        if ui.add(field).labelled_by(label.id).changed() {
            state.condition = Condition::Class(number.to_string());
        }
    });
}

fn classes(ui: &mut Ui, state: &mut State, config: &RqTransformerConfig) {
    let chosen = chosen(state, config);
    let name = chosen.and_then(|number| config.classes.get(number)).map_or("none chosen", String::as_str);
    ui.label(format!("Class: {name}"));
    if config.null_token().is_some() && ui.add_enabled(chosen.is_some(), Button::new("Any class")).clicked() {
        state.condition = Condition::Unconditional;
    }
    ui.add(
        TextEdit::singleline(&mut state.generate_view.search)
            .hint_text("Search by name or number")
            .desired_width(f32::INFINITY),
    )
    .accessible_name("Search classes");
    let found = matching(&config.classes, &state.generate_view.search);
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
                state.condition = class_of(number, config);
            }
        }
    });
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
