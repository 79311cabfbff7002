//! Opens dropped, pasted and chosen files according to their type, and saves pictures and codes.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use eframe::egui::ColorImage;

use super::choose::save_as;
use super::log::Level;
use super::state::State;
use residua_core::codes::{CodeStack, npy};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_io::assets::SAMPLE;
use residua_io::image_io::folder::is_picture;
use residua_io::image_io::png_text::Provenance;
use residua_io::image_io::{Picture, is_edited, mask};
use residua_protocol::Recipe;

/// Size limit for picture and code files, in bytes.
const LARGEST: u64 = 1 << 30;

/// Opens the file or folder at `path` by its extension: pictures, codes, and anything else as a model.
pub fn open(state: &mut State, path: &Path) -> Result<()> {
    let npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
    if npy || is_picture(path) {
        // Waiting for a pipe would block the window.
        files::open(path)?;
        return open_bytes(state, path, &files::read_limited(path, LARGEST)?);
    }
    state.load(&path.display().to_string(), state.models_view.rqvae());
    Ok(())
}

/// Opens `bytes`, read from `path`: a picture, a PNG that carries codes, or an `.npy`.
fn open_bytes(state: &mut State, path: &Path, bytes: &[u8]) -> Result<()> {
    let name = name_of(path);
    let name = name.as_ref();
    let named = |error: Error| Error::invalid(format!("{name}: {error}"));
    if bytes.starts_with(b"\x93NUMPY") || name.to_lowercase().ends_with(".npy") {
        let mut stacks = npy::decode(bytes).map_err(named)?;
        if stacks.len() > 1 {
            state.log.add(Level::Warning, format!("{name} has {} stacks; opening the first", stacks.len()));
        }
        state.open_stack(name, Arc::new(stacks.remove(0)), None);
        return Ok(());
    }
    let picture = || Picture::from_bytes(bytes).map_err(named);
    let (recipe, codes) = match carried(bytes, path) {
        Err(error) if picture().is_ok() => {
            state.log.add(Level::Warning, format!("{name}: {error}; the picture itself is encoded"));
            (None, None)
        }
        carried => carried.map_err(named)?,
    };
    let codes = codes.filter(|_| {
        let edited = is_edited(bytes);
        if edited {
            let text = format!("{name} was edited after its codes were saved, so it is encoded again");
            state.log.add(Level::Warning, text);
        }
        !edited
    });
    match codes {
        Some(stack) => state.open_stack(name, Arc::new(stack), recipe.as_ref()),
        None => state.open_picture(name, Arc::new(picture()?)),
    }
    if let Some(recipe) = &recipe {
        state.restore(recipe);
    }
    Ok(())
}

/// Reads the mask at `path`: white where selected.
pub fn read_mask(path: &Path) -> Result<Picture> {
    mask::from_bytes(&files::read_limited(path, LARGEST)?)
        .map_err(|error| Error::invalid(format!("{}: {error}", name_of(path))))
}

/// The name of the file at `path`, for messages.
pub fn name_of(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
}

/// The recipe and the codes that the picture in `bytes`, read from `path`, carries.
fn carried(bytes: &[u8], path: &Path) -> Result<(Option<Recipe>, Option<CodeStack>)> {
    let Provenance { recipe, codes } = Provenance::read(bytes)?.located(path);
    Ok((recipe.map(|text| Recipe::from_json(&text)).transpose()?, codes))
}

/// Opens the sample picture.
pub fn open_sample(state: &mut State) -> Result<()> {
    let bytes = SAMPLE.open()?;
    open_bytes(state, Path::new(SAMPLE.path), &bytes.read_at(0, bytes.len())?)
}

/// Opens a picture from the clipboard.
pub fn open_pasted(state: &mut State, image: &ColorImage) {
    let [width, height] = image.size;
    let bytes = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    if let Some(image) = image::RgbImage::from_raw(width as u32, height as u32, bytes) {
        state.open_picture("clipboard", Arc::new(Picture::from_rgb8(&image)));
    }
}

/// Asks the user where to save the open stack's picture.
pub fn save_picture(state: &mut State) {
    let Some(saved) = Saved::of(state) else { return };
    let name = format!("{}.png", saved.stem);
    save_as(state, "Save the picture", name, move |state, path| saved.write(state, path));
}

/// Saves the open stack's picture at `path`, with its codes and recipe.
pub fn save_picture_to(state: &mut State, path: &Path) {
    if let Some(saved) = Saved::of(state) {
        saved.write(state, path);
    }
}

/// Asks the user where to save the open codes.
pub fn save_codes(state: &mut State) {
    let Some(document) = &state.document else { return };
    let (name, stack) = (format!("{}.npy", document.name), document.stack().clone());
    save_as(state, "Save the codes", name, move |state, path| {
        let saved = npy::save(path, &stack);
        state.log.saved(path, saved);
    });
}

/// The open stack's picture, codes and recipe, as they were when the user asked to save.
struct Saved {
    stem: String,
    picture: Arc<Picture>,
    provenance: Provenance,
    /// True if every depth is shown.
    is_whole: bool,
}

impl Saved {
    /// Captures the open document; None if it has no picture yet.
    fn of(state: &State) -> Option<Self> {
        let document = state.document.as_ref()?;
        let picture = document.seen.as_ref()?.picture.clone();
        let recipe = state.recipe().map(|recipe| recipe.to_json());
        Some(Self {
            stem: Path::new(&document.name).file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            picture,
            provenance: Provenance { recipe, codes: Some((**document.stack()).clone()) },
            is_whole: document.is_whole(),
        })
    }

    fn write(&self, state: &mut State, path: &Path) {
        let saved = self.picture.save_png(path, &self.provenance);
        state.log.saved(path, saved);
        if !self.is_whole {
            state.log.add(Level::Warning, "the saved pixels use the depth limits; all codes are saved");
        }
    }
}
