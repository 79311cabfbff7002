//! Save dialogs. They save the pictures that were chosen when the dialog opened.

use super::Item;
use crate::app::choose::save_as;
use crate::app::state::State;
use residua_protocol::{MorphPlan, Writing};

/// Asks where to save the chosen picture.
pub fn save_picture(state: &mut State) {
    let Some(item) = state.gallery.single().cloned() else { return };
    let name = format!("{}.png", item.stem());
    save_as(state, "Save the picture", name, move |state, path| state.save_item(&item, path));
}

/// Asks where to save the chosen picture's codes.
pub fn save_codes(state: &mut State) {
    let Some(item) = state.gallery.single() else { return };
    let Some(stack) = item.stack.clone() else { return };
    let name = format!("{}.npy", item.stem());
    save_as(state, "Save the codes", name, move |state, path| state.write(path, Writing::Codes(stack)));
}

/// Asks where to save a grid of the pictures.
pub fn export_grid(state: &mut State) {
    let items: Vec<Item> = state.gallery.chosen_or_all().into_iter().cloned().collect();
    save_as(state, "Export a grid", "grid.png".into(), move |state, path| state.export_grid(&items, path));
}

/// Asks where to save a morph, then makes it.
pub fn save_morph(state: &mut State, plan: MorphPlan) {
    save_as(state, "Save the morph", "morph.png".into(), move |state, path| state.morph_to(plan, path));
}
