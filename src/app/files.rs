//! Opens pasted pictures, and saves the open picture, those of the gallery, and their codes.

use std::path::Path;
use std::sync::Arc;

use eframe::egui::ColorImage;

use super::choose::save_as;
use super::gallery::Item;
use super::log::Level;
use super::state::State;
use residua_io::image_io::png_text::Provenance;
use residua_io::image_io::{Bytes, Picture};
use residua_protocol::{MorphPlan, Pictured, Reading, Writing};

/// Opens a picture from the clipboard.
pub fn open_pasted(state: &mut State, image: &ColorImage) {
    let [width, height] = image.size;
    state.read(Reading::Pasted { width, height, rgba: Bytes(image.as_raw().to_vec()) });
}

/// Asks the user where to save the open stack's picture.
pub fn save_picture(state: &mut State) {
    let Some(saved) = Saved::of(state) else { return };
    let name = format!("{}.png", saved.stem);
    save_as(state, "Save the picture", name, move |state, path| saved.write(state, path));
}

/// Asks the user where to save the open codes.
pub fn save_codes(state: &mut State) {
    let Some(document) = &state.document else { return };
    let (name, stack) = (format!("{}.npy", document.name), document.stack().clone());
    save_as(state, "Save the codes", name, move |state, path| state.write(path, Writing::Codes(stack)));
}

/// Asks where to save the picture that is chosen in the gallery, with its codes and recipe.
pub fn save_chosen(state: &mut State) {
    let Some(item) = state.gallery.single().cloned() else { return };
    let name = format!("{}.png", item.stem());
    save_as(state, "Save the picture", name, move |state, path| state.save_item(&item, path));
}

/// Asks where to save the codes of the picture that is chosen in the gallery.
pub fn save_chosen_codes(state: &mut State) {
    let Some(item) = state.gallery.single() else { return };
    let Some(stack) = item.stack.clone() else { return };
    let name = format!("{}.npy", item.stem());
    save_as(state, "Save the codes", name, move |state, path| state.write(path, Writing::Codes(stack)));
}

/// Asks where to save a grid of the pictures that are chosen now, or of all pictures if none is.
pub fn export_grid(state: &mut State) {
    let items: Vec<Item> = state.gallery.chosen_or_all().into_iter().cloned().collect();
    save_as(state, "Export a grid", "grid.png".into(), move |state, path| state.export_grid(&items, path));
}

/// Asks where to save a morph, then makes it.
pub fn save_morph(state: &mut State, plan: MorphPlan) {
    save_as(state, "Save the morph", "morph.png".into(), move |state, path| state.morph_to(plan, path));
}

/// The open stack's picture, codes and recipe, as they were when the user asked to save.
pub struct Saved {
    stem: String,
    picture: Arc<Picture>,
    provenance: Provenance,
    /// True if every depth is shown.
    is_whole: bool,
}

impl Saved {
    /// Captures the open document; None if its current state has no picture yet.
    pub fn of(state: &State) -> Option<Self> {
        let document = state.document.as_ref()?;
        let picture = document.decoded()?.clone();
        let recipe = state.recipe().map(|recipe| recipe.to_json());
        Some(Self {
            stem: Path::new(&document.name).file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            picture,
            provenance: Provenance { recipe, codes: Some((**document.stack()).clone()) },
            is_whole: document.is_whole(),
        })
    }

    /// Saves it at `path`.
    pub fn write(self, state: &mut State, path: &Path) {
        state.write(path, Writing::Picture(Pictured::Held(self.picture), self.provenance));
        if !self.is_whole {
            state.log.add(Level::Warning, "the saved pixels use the depth limits; all codes are saved");
        }
    }
}
