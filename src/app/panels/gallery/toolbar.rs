//! The buttons for actions on the chosen pictures.

use eframe::egui::{Button, Label, RichText, Ui};

use crate::app::action::Action;
use crate::app::choose::Wanted;
use crate::app::gallery::Gallery;
use crate::app::state::State;
use residua_core::text::counted;
use residua_protocol::MorphPlan;

/// What a click does: an action, or it opens the settings of a morph.
type Click = fn(&State, &mut Option<MorphPlan>) -> Option<Action>;

/// A button: its name, when it is enabled, the tooltip when it is not, and what a click does.
type Entry = (&'static str, fn(&Gallery) -> bool, &'static str, Click);

const BUTTONS: [Entry; 10] = [
    (
        "Open in the editor",
        |gallery| gallery.single().is_some(),
        "Select one picture first.",
        |state, _| state.gallery.chosen.first().map(|&index| Action::OpenItem(index)),
    ),
    (
        "Restore recipe",
        |gallery| gallery.single().is_some_and(|item| item.recipe.is_some()),
        "Select one picture with a recipe first.",
        |_, _| Some(Action::RestoreChosen),
    ),
    (
        "Compare",
        |gallery| gallery.chosen.len() == 2,
        "Select two pictures first.",
        |_, _| Some(Action::CompareChosen),
    ),
    (
        "Save PNG…",
        |gallery| gallery.single().is_some(),
        "Select one picture first.",
        |_, _| Some(Action::SaveChosen),
    ),
    (
        "Morph…",
        |gallery| gallery.pair().is_some(),
        "Select two pictures with codes of the same shape first.",
        |state, morph| {
            *morph = state.morph_plan();
            None
        },
    ),
    (
        "Save .npy…",
        |gallery| gallery.single().is_some_and(|item| item.stack.is_some()),
        "Select one picture with codes first.",
        |_, _| Some(Action::SaveChosenCodes),
    ),
    (
        "Export grid…",
        |gallery| !gallery.items.is_empty(),
        "There are no pictures yet.",
        |_, _| Some(Action::ExportGrid),
    ),
    (
        "Remove",
        |gallery| !gallery.chosen.is_empty(),
        "Select pictures first.",
        |_, _| Some(Action::RemoveChosen),
    ),
    (
        "Clear selection",
        |gallery| !gallery.chosen.is_empty(),
        "Nothing is selected.",
        |_, _| Some(Action::ChooseNone),
    ),
    ("Show a folder…", |_| true, "", |_, _| Some(Action::Choose(Wanted::GalleryFolder))),
];

/// Shows the buttons.
pub fn show(ui: &mut Ui, state: &State, morph: &mut Option<MorphPlan>, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        for (name, can, why, click) in BUTTONS {
            let button = ui.add_enabled(can(&state.gallery), Button::new(name));
            if button.on_disabled_hover_text(why).clicked() {
                actions.extend(click(state, morph));
            }
        }
        let (all, chosen) = (state.gallery.items.len(), state.gallery.chosen.len());
        let pictures = counted(all, "picture");
        ui.add(Label::new(RichText::new(format!("{pictures}, {chosen} selected")).weak()).extend());
    });
}
