//! Samples new pictures that keep part of the open one.

use eframe::egui::{Button, Slider, Ui};

use crate::app::action::Action;
use crate::app::document::Document;
use crate::app::state::State;
use residua_protocol::Condition;

/// Actions of the buttons.
enum Start {
    /// Resamples all but the first rows, with the current seed.
    Rows,
    /// Resamples the selected cells, with the current seed.
    Selected,
    /// Like `Rows`, but with a new seed, even if the seed is locked.
    Variations,
}

/// Shows the actions for the open picture.
pub fn show(ui: &mut Ui, state: &State, kept: &mut usize, actions: &mut Vec<Action>) {
    ui.strong("From the open picture");
    let Some(document) = &state.document else {
        ui.label("Open a picture to keep a part of its codes and sample the rest.");
        return;
    };
    condition(ui, state, document, actions);
    let rows = document.stack().h();
    *kept = (*kept).min(rows);
    ui.add(Slider::new(kept, 0..=rows).text("Rows kept"));
    let (below, selected) = (*kept < rows, document.has_selection());
    let buttons = [
        (Start::Rows, "Complete below", below, "Samples all cells below the kept rows, with the seed above."),
        (Start::Selected, "Complete selected", selected, "Samples the selected cells and keeps the others."),
        (Start::Variations, "Variations", below, "Like Complete below, with a different seed each time."),
    ];
    let mut start = None;
    ui.horizontal_wrapped(|ui| {
        for (what, name, enabled, meaning) in buttons {
            let why = if let Start::Selected = what {
                "Select cells with Brush or Rectangle first."
            } else {
                "All rows are kept."
            };
            let button = ui.add_enabled(enabled, Button::new(name));
            if button.on_hover_text(meaning).on_disabled_hover_text(why).clicked() {
                start = Some(what);
            }
        }
    });
    if let Some(Start::Variations) = start {
        actions.push(Action::NextSeed);
    }
    let keep = start.map(|start| match start {
        Start::Rows | Start::Variations => document.first_rows(*kept),
        Start::Selected => document.kept(),
    });
    actions.extend(keep.map(Action::Vary));
}

/// Shows the open picture's condition, and offers to replace it by the one above if they differ.
fn condition(ui: &mut Ui, state: &State, document: &Document, actions: &mut Vec<Action>) {
    let text = match &document.condition {
        Condition::Unconditional => "unconditional".to_string(),
        Condition::Class(class) => format!("class {class}"),
        Condition::Prompt(caption) if caption.is_empty() => "no caption".to_string(),
        Condition::Prompt(caption) => format!("caption \"{caption}\""),
    };
    ui.label(format!("{}: {text}", document.name));
    if document.condition != state.condition
        && ui
            .button("Apply the condition above")
            .on_hover_text("Gives the open picture the class or caption above.")
            .clicked()
    {
        actions.push(Action::SetOpenCondition(state.condition.clone()));
    }
}
