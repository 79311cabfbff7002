//! File and folder dialogs, from the system or the browser.

use std::path::Path;
#[cfg(not(target_family = "wasm"))]
use std::path::PathBuf;

#[cfg(not(target_family = "wasm"))]
use rfd::{AsyncFileDialog, FileHandle};

#[cfg(not(target_family = "wasm"))]
use super::log::Level;
use super::state::State;

/// What a file or folder is chosen for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// A picture or codes to open.
    Picture,
    /// A mask of the cells to revise.
    Mask,
    /// A model file to load.
    Model,
    /// A model folder to load.
    ModelFolder,
    /// A folder whose pictures' codes to count.
    CountedFolder,
    /// A folder to show in the gallery.
    GalleryFolder,
}

/// How to ask for one.
struct Asked {
    wanted: Wanted,
    /// Its name in the browser.
    name: &'static str,
    /// Title of the system's dialog; the browser's has none.
    #[cfg_attr(target_family = "wasm", expect(dead_code))]
    title: &'static str,
    /// Extensions of the files, or of the files that matter in a folder.
    endings: &'static [&'static str],
    folder: bool,
}

const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp", "gif", "bmp", "npy"];
const MASKS: &[&str] = &["png", "jpg", "jpeg", "webp", "gif", "bmp"];
const MODELS: &[&str] = &["pt", "pth", "ckpt", "bin", "safetensors", "gz", "tgz", "tar"];
const MODEL_FILES: &[&str] =
    &["pt", "pth", "tar", "ckpt", "bin", "safetensors", "yaml", "yml", "json", "txt"];

const ASKED: &[Asked] = &[
    Asked {
        wanted: Wanted::Picture,
        name: "picture",
        title: "Open a picture or codes",
        endings: PICTURES,
        folder: false,
    },
    Asked { wanted: Wanted::Mask, name: "mask", title: "Open a mask", endings: MASKS, folder: false },
    Asked { wanted: Wanted::Model, name: "model", title: "Open a model", endings: MODELS, folder: false },
    Asked {
        wanted: Wanted::ModelFolder,
        name: "model-folder",
        title: "Open a model's folder",
        endings: MODEL_FILES,
        folder: true,
    },
    Asked {
        wanted: Wanted::CountedFolder,
        name: "counted-folder",
        title: "Count the codes of a folder's pictures",
        endings: PICTURES,
        folder: true,
    },
    Asked {
        wanted: Wanted::GalleryFolder,
        name: "gallery-folder",
        title: "Show a folder's pictures",
        endings: PICTURES,
        folder: true,
    },
];

impl Wanted {
    /// Finds it by its name in the browser.
    pub fn named(name: &str) -> Option<Self> {
        ASKED.iter().find(|asked| asked.name == name).map(|asked| asked.wanted)
    }

    fn asked(self) -> &'static Asked {
        ASKED.iter().find(|asked| asked.wanted == self).expect("the table has all of them")
    }
}

/// Opens the dialog; the choice arrives later, in [`take`].
#[cfg(not(target_family = "wasm"))]
pub fn open(state: &mut State, wanted: Wanted) {
    let Asked { title, endings, folder, .. } = wanted.asked();
    pick(state, title, *folder, endings, move |state, path| take(state, wanted, path));
}

/// Opens the dialog; the choice arrives later, in [`take`].
#[cfg(target_family = "wasm")]
pub fn open(_: &mut State, wanted: Wanted) {
    let Asked { name, endings, folder, .. } = wanted.asked();
    let endings: Vec<String> = endings.iter().map(|ending| format!(".{ending}")).collect();
    residua_core::host::choose(name, &endings.join(","), *folder);
}

/// Opens, revises by, loads, counts or shows the chosen file or folder.
pub fn take(state: &mut State, wanted: Wanted, path: &Path) {
    match wanted {
        Wanted::Picture => state.open_path(path),
        Wanted::Mask => state.revise_by_mask(path),
        Wanted::Model | Wanted::ModelFolder => {
            state.load(&path.display().to_string(), state.named_rqvae());
        }
        Wanted::CountedFolder => state.count_folder(path.to_path_buf()),
        Wanted::GalleryFolder => state.show_folder(path),
    }
}

/// Asks the user for a file with one of `endings`, or for a folder, and calls `then` with its path.
#[cfg(not(target_family = "wasm"))]
pub fn pick(
    state: &mut State,
    title: &str,
    folder: bool,
    endings: &[&str],
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    let dialog = AsyncFileDialog::new().set_title(title);
    match (folder, endings) {
        (true, _) => ask(state, path_of(dialog.pick_folder()), then),
        (false, []) => ask(state, path_of(dialog.pick_file()), then),
        (false, _) => ask(state, path_of(dialog.add_filter("Files", endings).pick_file()), then),
    }
}

/// Asks the user where to save a file, and calls `then` with the path.
#[cfg(not(target_family = "wasm"))]
pub fn save_as(
    state: &mut State,
    title: &str,
    name: String,
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    let dialog = AsyncFileDialog::new().set_title(title).set_file_name(name);
    ask(state, path_of(dialog.save_file()), then);
}

#[cfg(not(target_family = "wasm"))]
fn ask(
    state: &mut State,
    dialog: impl Future<Output = Option<PathBuf>> + Send + 'static,
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    if let Err(error) = state.dialogs.ask(dialog, then) {
        state.log.add(Level::Error, format!("no file dialog could be opened: {error}"));
    }
}

/// The path that the user picks, if any.
#[cfg(not(target_family = "wasm"))]
async fn path_of(dialog: impl Future<Output = Option<FileHandle>>) -> Option<PathBuf> {
    dialog.await.map(|file| file.path().to_path_buf())
}

/// Calls `then` with the file's name: a browser saves it among its downloads.
#[cfg(target_family = "wasm")]
pub fn save_as(state: &mut State, _: &str, name: String, then: impl FnOnce(&mut State, &Path)) {
    then(state, Path::new(&name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for asked in ASKED {
            assert_eq!(Wanted::named(asked.name), Some(asked.wanted));
            assert_eq!(asked.wanted.asked().name, asked.name);
        }
        assert_eq!(Wanted::named("none"), None);
    }
}
