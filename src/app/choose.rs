//! Lets the person choose files and folders, in the system's dialogs or the browser's.

use std::path::{Path, PathBuf};

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
const MODELS: &[&str] = &["pt", "safetensors", "gz", "tgz", "tar"];
const MODEL_FILES: &[&str] = &["pt", "safetensors", "yaml", "txt"];

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

/// Lets the person choose, and does with the choice what it is wanted for.
#[cfg(not(target_family = "wasm"))]
pub fn open(state: &mut State, wanted: Wanted) {
    let Asked { title, endings, folder, .. } = wanted.asked();
    let dialog = rfd::FileDialog::new().set_title(*title);
    let chosen = match folder {
        true => dialog.pick_folder(),
        false => dialog.add_filter("Files", endings).pick_file(),
    };
    if let Some(path) = chosen {
        take(state, wanted, &path);
    }
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

/// A file or a folder that the person chooses for `title`.
#[cfg(not(target_family = "wasm"))]
pub fn path(title: &str, folder: bool) -> Option<PathBuf> {
    let dialog = rfd::FileDialog::new().set_title(title);
    if folder { dialog.pick_folder() } else { dialog.pick_file() }
}

/// Where a file is to be saved. A browser puts it where it puts all downloads.
#[cfg(not(target_family = "wasm"))]
pub fn place_to_save(title: &str, name: String) -> Option<PathBuf> {
    rfd::FileDialog::new().set_title(title).set_file_name(name).save_file()
}

/// Where a file is to be saved. A browser puts it where it puts all downloads.
#[cfg(target_family = "wasm")]
pub fn place_to_save(_: &str, name: String) -> Option<PathBuf> {
    Some(name.into())
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
