//! Files in and out: what is dropped, pasted, chosen or named is opened by what it is.

use std::path::Path;
use std::sync::Arc;

use eframe::egui::ColorImage;

use super::log::Level;
use super::state::State;
use crate::codes::npy;
use crate::engine::Recipe;
use crate::error::{Error, Result};
use crate::files::read_limited;
use crate::image_io::Picture;
use crate::image_io::folder::is_picture;
use crate::image_io::png_text::Provenance;

/// Largest picture or code file that is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// Opens the file or folder at `path` by its ending: pictures, codes, and all else as a model.
pub fn open(state: &mut State, path: &Path) -> Result<()> {
    let name = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
    if npy || is_picture(path) {
        return open_bytes(state, &name, &read_limited(path, LARGEST)?);
    }
    state.load(&path.display().to_string(), state.models_view.rqvae());
    Ok(())
}

/// Opens the bytes of a picture, of a PNG that carries codes, or of an `.npy`.
pub fn open_bytes(state: &mut State, name: &str, bytes: &[u8]) -> Result<()> {
    let named = |error: Error| Error::invalid(format!("{name}: {error}"));
    if bytes.starts_with(b"\x93NUMPY") || name.to_lowercase().ends_with(".npy") {
        let mut stacks = npy::decode(bytes).map_err(named)?;
        if stacks.len() > 1 {
            state.log.add(Level::Warning, format!("{name} has {} stacks; the first is opened", stacks.len()));
        }
        state.open_stack(name, Arc::new(stacks.remove(0)), None);
        return Ok(());
    }
    let Provenance { recipe, codes } = Provenance::read(bytes).map_err(named)?;
    let recipe = recipe.map(|text| Recipe::from_json(&text)).transpose().map_err(named)?;
    match codes {
        Some(stack) => state.open_stack(name, Arc::new(stack), recipe.as_ref()),
        None => state.open_picture(name, Arc::new(Picture::from_bytes(bytes).map_err(named)?)),
    }
    if let Some(recipe) = &recipe {
        state.restore(recipe);
    }
    Ok(())
}

/// Opens a picture from the clipboard.
pub fn open_pasted(state: &mut State, image: &ColorImage) {
    let [width, height] = image.size;
    let bytes = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    if let Some(image) = image::RgbImage::from_raw(width as u32, height as u32, bytes) {
        state.open_picture("clipboard", Arc::new(Picture::from_rgb8(&image)));
    }
}

/// Lets the person choose a picture or codes, and opens them.
pub fn choose(state: &mut State) {
    let dialog = rfd::FileDialog::new()
        .set_title("Open a picture or codes")
        .add_filter("Pictures and codes", &["png", "jpg", "jpeg", "webp", "gif", "bmp", "npy"]);
    if let Some(path) = dialog.pick_file() {
        state.open_path(&path);
    }
}

/// Lets the person choose a model's file, and loads it.
pub fn choose_model(state: &mut State) {
    let dialog = rfd::FileDialog::new()
        .set_title("Open a model")
        .add_filter("Models", &["pt", "safetensors", "gz", "tgz", "tar"]);
    if let Some(path) = dialog.pick_file() {
        state.load(&path.display().to_string(), state.models_view.rqvae());
    }
}

/// Lets the person choose a model's folder, and loads it.
pub fn choose_model_folder(state: &mut State) {
    if let Some(path) = rfd::FileDialog::new().set_title("Open a model's folder").pick_folder() {
        state.load(&path.display().to_string(), state.models_view.rqvae());
    }
}

/// Lets the person choose a folder, and counts the codes of its pictures.
pub fn choose_counted(state: &mut State) {
    if let Some(path) =
        rfd::FileDialog::new().set_title("Count the codes of a folder's pictures").pick_folder()
    {
        state.count_folder(path);
    }
}

/// Lets the person choose where the open stack's picture is saved.
pub fn save_picture(state: &mut State) {
    let Some(document) = state.document.as_ref().filter(|document| document.seen.is_some()) else { return };
    let stem = Path::new(&document.name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let dialog = rfd::FileDialog::new().set_title("Save the picture").set_file_name(format!("{stem}.png"));
    if let Some(path) = dialog.save_file() {
        save_picture_to(state, &path);
    }
}

/// Saves the open stack's picture at `path`, with its codes and recipe.
pub fn save_picture_to(state: &mut State, path: &Path) {
    let Some((picture, provenance)) = picture_of(state) else { return };
    let saved = picture.save_png(path, &provenance);
    state.log.saved(path, saved);
    if state.document.as_ref().is_some_and(|document| !document.is_whole()) {
        state.log.add(Level::Warning, "depth limits are saved in the pixels; the codes are saved whole");
    }
}

/// Lets the person choose where the open codes are saved.
pub fn save_codes(state: &mut State) {
    let Some(document) = &state.document else { return };
    let dialog =
        rfd::FileDialog::new().set_title("Save the codes").set_file_name(format!("{}.npy", document.name));
    if let Some(path) = dialog.save_file() {
        let saved = npy::save(&path, document.stack());
        state.log.saved(&path, saved);
    }
}

/// The open stack's picture as it is saved, and what it carries.
fn picture_of(state: &State) -> Option<(Arc<Picture>, Provenance)> {
    let document = state.document.as_ref()?;
    let picture = document.seen.as_ref()?.picture.clone();
    let recipe = state.recipe().map(|recipe| recipe.to_json());
    Some((picture, Provenance { recipe, codes: Some((**document.stack()).clone()) }))
}
