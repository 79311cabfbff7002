//! The buttons for actions on the chosen pictures.

use eframe::egui::{Button, Label, RichText, Ui};

use super::dialogs;
use crate::app::choose::{self, Wanted};
use crate::app::gallery::Gallery;
use crate::app::state::State;
use residua_core::text::counted;

/// A button: its name, when it is enabled, the tooltip when it is not, and its action.
type Action = (&'static str, fn(&Gallery) -> bool, &'static str, fn(&mut State));

const ACTIONS: [Action; 10] = [
    ("Open in the editor", |gallery| gallery.single().is_some(), "Select one picture first.", open),
    (
        "Restore recipe",
        |gallery| gallery.single().is_some_and(|item| item.recipe.is_some()),
        "Select one picture with a recipe first.",
        State::restore_chosen,
    ),
    ("Compare", |gallery| gallery.chosen.len() == 2, "Select two pictures first.", State::compare_chosen),
    ("Save PNG…", |gallery| gallery.single().is_some(), "Select one picture first.", dialogs::save_picture),
    (
        "Morph…",
        |gallery| gallery.pair().is_some(),
        "Select two pictures with codes of the same shape first.",
        |state| state.gallery_view.morph = state.morph_plan(),
    ),
    (
        "Save .npy…",
        |gallery| gallery.single().is_some_and(|item| item.stack.is_some()),
        "Select one picture with codes first.",
        dialogs::save_codes,
    ),
    ("Export grid…", |gallery| !gallery.items.is_empty(), "There are no pictures yet.", dialogs::export_grid),
    ("Remove", |gallery| !gallery.chosen.is_empty(), "Select pictures first.", State::remove_chosen),
    (
        "Clear selection",
        |gallery| !gallery.chosen.is_empty(),
        "Nothing is selected.",
        |state| state.gallery.chosen.clear(),
    ),
    ("Show a folder…", |_| true, "", |state| choose::open(state, Wanted::GalleryFolder)),
];

/// Shows the buttons.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.horizontal_wrapped(|ui| {
        for (name, can, why, act) in ACTIONS {
            let button = ui.add_enabled(can(&state.gallery), Button::new(name));
            if button.on_disabled_hover_text(why).clicked() {
                act(state);
            }
        }
        let (all, chosen) = (state.gallery.items.len(), state.gallery.chosen.len());
        let pictures = counted(all, "picture");
        ui.add(Label::new(RichText::new(format!("{pictures}, {chosen} selected")).weak()).extend());
    });
}

fn open(state: &mut State) {
    if let Some(&index) = state.gallery.chosen.first() {
        state.open_item(index);
    }
}
