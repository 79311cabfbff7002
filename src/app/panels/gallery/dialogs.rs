//! Asks where files are to go.

use crate::app::choose::place_to_save;
use crate::app::state::State;

/// Asks where the chosen picture is to be saved.
pub fn save_picture(state: &mut State) {
    let Some(item) = state.gallery.single() else { return };
    let place = place_to_save("Save the picture", format!("{}.png", item.stem()));
    if let (Some(path), Some(&index)) = (place, state.gallery.chosen.first()) {
        state.save_item(index, &path);
    }
}

/// Asks where the chosen picture's codes are to be saved.
pub fn save_codes(state: &mut State) {
    let Some(item) = state.gallery.single() else { return };
    let place = place_to_save("Save the codes", format!("{}.npy", item.stem()));
    if let (Some(path), Some(&index)) = (place, state.gallery.chosen.first()) {
        state.save_item_codes(index, &path);
    }
}

/// Asks where a grid of the pictures is to be saved.
pub fn export_grid(state: &mut State) {
    if let Some(path) = place_to_save("Export a grid", "grid.png".into()) {
        state.export_grid(&path);
    }
}
