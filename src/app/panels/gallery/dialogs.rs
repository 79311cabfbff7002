//! Asks where files are to go or come from.

use rfd::FileDialog;

use crate::app::state::State;

/// Asks where the chosen picture is to be saved.
pub fn save_picture(state: &mut State) {
    let Some(item) = state.gallery.single() else { return };
    let dialog =
        FileDialog::new().set_title("Save the picture").set_file_name(format!("{}.png", item.stem()));
    if let (Some(path), Some(&index)) = (dialog.save_file(), state.gallery.chosen.first()) {
        state.save_item(index, &path);
    }
}

/// Asks where the chosen picture's codes are to be saved.
pub fn save_codes(state: &mut State) {
    let Some(item) = state.gallery.single() else { return };
    let dialog = FileDialog::new().set_title("Save the codes").set_file_name(format!("{}.npy", item.stem()));
    if let (Some(path), Some(&index)) = (dialog.save_file(), state.gallery.chosen.first()) {
        state.save_item_codes(index, &path);
    }
}

/// Asks where a grid of the pictures is to be saved.
pub fn export_grid(state: &mut State) {
    if let Some(path) = FileDialog::new().set_title("Export a grid").set_file_name("grid.png").save_file() {
        state.export_grid(&path);
    }
}

/// Asks for a folder to show.
pub fn show_folder(state: &mut State) {
    if let Some(folder) = FileDialog::new().set_title("Show a folder's pictures").pick_folder() {
        state.show_folder(&folder);
    }
}
