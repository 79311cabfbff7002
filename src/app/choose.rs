//! Lets the person choose files and folders, in the system's dialogs or the browser's.

use std::path::Path;
#[cfg(not(target_family = "wasm"))]
use std::path::PathBuf;

#[cfg(not(target_family = "wasm"))]
use rfd::{AsyncFileDialog, FileHandle};

#[cfg(not(target_family = "wasm"))]
use super::dialogs;
use super::state::State;

/// What a file or folder is chosen for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// To be opened: a picture or codes.
    Picture,
    /// To be loaded.
    Model,
    /// To be loaded.
    ModelFolder,
    /// The codes of its pictures are to be counted.
    CountedFolder,
    /// Its pictures are to be shown in the gallery.
    GalleryFolder,
}

/// How one is asked for.
struct Asked {
    wanted: Wanted,
    /// What a browser calls it.
    name: &'static str,
    /// What the system's dialog says; a browser's says nothing.
    #[cfg_attr(target_family = "wasm", expect(dead_code))]
    title: &'static str,
    /// Endings of the files, or of those in a folder that matter.
    endings: &'static [&'static str],
    folder: bool,
}

const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp", "gif", "bmp", "npy"];
const MODELS: &[&str] = &["pt", "pth", "ckpt", "bin", "safetensors", "gz", "tgz", "tar"];
const MODEL_FILES: &[&str] = &["pt", "pth", "ckpt", "bin", "safetensors", "yaml", "yml", "txt"];

const ASKED: &[Asked] = &[
    Asked {
        wanted: Wanted::Picture,
        name: "picture",
        title: "Open a picture or codes",
        endings: PICTURES,
        folder: false,
    },
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
    /// What a browser calls it.
    pub fn named(name: &str) -> Option<Self> {
        ASKED.iter().find(|asked| asked.name == name).map(|asked| asked.wanted)
    }

    fn asked(self) -> &'static Asked {
        ASKED.iter().find(|asked| asked.wanted == self).expect("the table has all of them")
    }
}

/// Lets the person choose; the choice comes later, by [`take`].
#[cfg(not(target_family = "wasm"))]
pub fn open(state: &mut State, wanted: Wanted) {
    let Asked { title, endings, folder, .. } = wanted.asked();
    pick(state, title, *folder, endings, move |state, path| take(state, wanted, path));
}

/// Lets the person choose; the choice comes later, by [`take`].
#[cfg(target_family = "wasm")]
pub fn open(_: &mut State, wanted: Wanted) {
    let Asked { name, endings, folder, .. } = wanted.asked();
    let endings: Vec<String> = endings.iter().map(|ending| format!(".{ending}")).collect();
    crate::host::choose(name, &endings.join(","), *folder);
}

/// Does with what was chosen what it is wanted for.
pub fn take(state: &mut State, wanted: Wanted, path: &Path) {
    match wanted {
        Wanted::Picture => state.open_path(path),
        Wanted::Model | Wanted::ModelFolder => {
            state.load(&path.display().to_string(), state.models_view.rqvae());
        }
        Wanted::CountedFolder => state.count_folder(path.to_path_buf()),
        Wanted::GalleryFolder => state.show_folder(path),
    }
}

/// Lets the person choose a file with one of `endings`, or a folder. `then` is called with its path.
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
        (true, _) => dialogs::ask(state, path_of(dialog.pick_folder()), then),
        (false, []) => dialogs::ask(state, path_of(dialog.pick_file()), then),
        (false, _) => dialogs::ask(state, path_of(dialog.add_filter("Files", endings).pick_file()), then),
    }
}

/// Lets the person choose where to save a file. `then` is called with the path.
#[cfg(not(target_family = "wasm"))]
pub fn save_as(
    state: &mut State,
    title: &str,
    name: String,
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    let dialog = AsyncFileDialog::new().set_title(title).set_file_name(name);
    dialogs::ask(state, path_of(dialog.save_file()), then);
}

/// The path that the person picks, if any.
#[cfg(not(target_family = "wasm"))]
async fn path_of(dialog: impl Future<Output = Option<FileHandle>>) -> Option<PathBuf> {
    dialog.await.map(|file| file.path().to_path_buf())
}

/// Calls `then` with the file's name: a browser puts it with the other downloads.
#[cfg(target_family = "wasm")]
pub fn save_as(state: &mut State, _: &str, name: String, then: impl FnOnce(&mut State, &Path)) {
    then(state, Path::new(&name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_one_thing_each() {
        for asked in ASKED {
            assert_eq!(Wanted::named(asked.name), Some(asked.wanted));
            assert_eq!(asked.wanted.asked().name, asked.name);
        }
        assert_eq!(Wanted::named("none"), None);
    }
}
