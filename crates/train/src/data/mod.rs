//! Training data: a folder of pictures, with classes and captions if it has them.

mod augment;
mod batches;
mod captions;
mod fingerprint;
#[cfg(test)]
mod mutations;
mod source;

pub use augment::{Augmentation, Frame};
#[cfg(test)]
pub(crate) use batches::tests::wish;
pub use batches::{Batches, Loaded, Wish, in_epoch, in_order, in_order_by_turns};
pub use fingerprint::fingerprint;
pub use source::Unreadable;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::run::RunFolder;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::text::{composed, some_of};
use residua_io::image_io::folder::{self, LeftOut};

use captions::Told;

/// One in this many names is held out.
const HELD_OUT: u64 = 16;

/// Pictures whose file names are equal up to this character are variants of one, and are held out together.
const VARIANT: char = '~';

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Path of the file.
    pub path: PathBuf,
    /// Index of its class, if the folder has classes.
    pub class: Option<usize>,
    /// Its captions; a table may have several.
    pub captions: Vec<String>,
}

impl Item {
    /// The first caption.
    pub fn caption(&self) -> Option<&str> {
        self.captions.first().map(String::as_str)
    }
}

/// A folder of pictures.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// All pictures, by path.
    pub items: Vec<Item>,
    /// Names of the classes, in the order of their indices.
    pub classes: Vec<String>,
    /// Pictures in a `val_list.txt`. If there are any, these are held out, as published, instead of some chosen
    /// by their names.
    pub validation: BTreeSet<PathBuf>,
    /// Files that look like data but are skipped.
    pub left_out: Vec<LeftOut>,
}

/// A subset of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Pictures to learn from.
    Train,
    /// Held-out pictures: those in a `val_list.txt`, or else those whose name's hash is a multiple of 16.
    HeldOut,
    /// All pictures.
    All,
}

impl DataSet {
    /// Finds the pictures in `folder` and below: see [`folder::all_pictures`], and files without an extension
    /// that a table of captions lists. The folders directly in it are classes, in the order of `classes`, of
    /// `classes.txt`, or of their names. Warns about skipped files.
    ///
    /// # Errors
    /// There are no pictures; the folder is a training run's; a class is not in `classes`; captions cannot be
    /// read.
    pub fn open(folder: &Path, classes: &[String]) -> Result<Self> {
        if RunFolder::is_run(folder) {
            return Err(Error::usage(format!(
                "{}: expected a folder of pictures, found one of a training run: name the folder that it was trained on",
                folder.display()
            )));
        }
        let mut found = folder::all_pictures(folder)?;
        folder::warn(folder, &found.left_out);
        let Told { mut captions, validation } = captions::read(folder, &found)?;
        let named = found.unnamed.iter().filter(|path| captions.contains_key(*path)).cloned();
        found.pictures.extend(named);
        found.pictures.sort();
        if found.pictures.is_empty() {
            return Err(Error::invalid(format!(
                "{}: expected pictures (PNG, JPEG, WebP, GIF, BMP) in it, found none",
                folder.display()
            )));
        }
        let names: BTreeSet<String> =
            found.pictures.iter().filter_map(|path| class_of(folder, path)).collect();
        let empty = empty_folders(folder, &found.folders, &names);
        if !empty.is_empty() {
            tracing::warn!("{}: folders without pictures: {}", folder.display(), some_of(&empty));
        }
        let classes = match classes {
            [] => listed(folder)?.unwrap_or_else(|| names.iter().cloned().collect()),
            given => given.to_vec(),
        };
        let known: Vec<String> = classes.iter().map(|name| composed(name)).collect();
        let is_twice = |name: &&String| known.iter().filter(|class| class == name).count() > 1;
        if let Some(name) = names.iter().find(is_twice) {
            return Err(Error::invalid(format!(
                "{}: expected one class for its folder {name}, found several of that name in the list of classes",
                folder.display()
            )));
        }
        let index: BTreeMap<String, usize> =
            known.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
        if let Some(unknown) = names.iter().find(|name| !index.contains_key(*name)) {
            return Err(Error::invalid(format!(
                "{}: expected folders named after the classes ({}), found {unknown}",
                folder.display(),
                some_of(&classes)
            )));
        }
        let items = found.pictures.into_iter().map(|path| {
            let class = class_of(folder, &path).map(|name| index[&name]);
            let captions = captions.remove(&path).unwrap_or_default();
            Item { path, class, captions }
        });
        Ok(Self { items: items.collect(), classes, validation, left_out: found.left_out })
    }

    /// The pictures of `split`.
    pub fn of(&self, split: Split) -> Vec<Item> {
        let wanted = |item: &&Item| match split {
            Split::All => true,
            Split::Train => !self.holds_out(item),
            Split::HeldOut => self.holds_out(item),
        };
        self.items.iter().filter(wanted).cloned().collect()
    }

    fn holds_out(&self, item: &Item) -> bool {
        if self.validation.is_empty() {
            is_held_out(&item.path)
        } else {
            self.validation.contains(&item.path)
        }
    }
}

/// True if the picture at `path` is held out by its name: the hash (FNV-1a, 64 bits) of its name up to a `~` is a
/// multiple of 16.
pub fn is_held_out(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.split(VARIANT).next().unwrap_or_default();
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash.is_multiple_of(HELD_OUT)
}

/// The name of the folder directly in `folder` that contains `path`.
fn class_of(folder: &Path, path: &Path) -> Option<String> {
    let mut parts = path.strip_prefix(folder).ok()?.components();
    let first = parts.next()?;
    parts.next()?;
    Some(composed(&first.as_os_str().to_string_lossy()))
}

/// The names of the `folders` directly in `folder` that have no pictures, and so are no classes: `names` are those that
/// have some.
fn empty_folders(folder: &Path, folders: &BTreeSet<PathBuf>, names: &BTreeSet<String>) -> Vec<String> {
    let direct = folders.iter().filter(|path| path.parent() == Some(folder));
    let direct = direct.filter_map(|path| Some(composed(&path.file_name()?.to_string_lossy())));
    direct.filter(|name| !names.contains(name)).collect()
}

/// The classes that `classes.txt` lists, if any.
fn listed(folder: &Path) -> Result<Option<Vec<String>>> {
    let path = folder.join("classes.txt");
    if !files::is_file(&path) {
        return Ok(None);
    }
    let text = files::read_text(&path, 1 << 20)?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    Ok(Some(names).filter(|names| !names.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        folder
    }

    #[test]
    fn folders_are_classes_and_pictures_are_sorted_by_path() {
        let made = folder(&["b/2.png", "a/1.jpg", "a/deep/0.png", "b/notes.txt"]);
        let data = DataSet::open(made.path(), &[]).unwrap();
        assert_eq!(data.classes, ["a", "b"]);
        let found: Vec<_> = data.items.iter().map(|item| item.class).collect();
        assert_eq!(found, [Some(0), Some(0), Some(1)]);
        let other = DataSet::open(made.path(), &["b".into(), "a".into()]).unwrap();
        assert_eq!(other.items[0].class, Some(1));
        fs::write(made.path().join("classes.txt"), "x\nb\na\n").unwrap();
        assert_eq!(DataSet::open(made.path(), &[]).unwrap().items[2].class, Some(1));
        let error = |classes: &[String]| DataSet::open(made.path(), classes).unwrap_err().to_string();
        assert!(error(&["a".into()]).contains("found b"), "{}", error(&["a".into()]));
        fs::write(made.path().join("classes.txt"), "a\nb\na\n").unwrap();
        assert!(error(&[]).contains("expected one class for its folder a, found several"), "{}", error(&[]));
        // An empty list is none.
        fs::write(made.path().join("classes.txt"), "\n").unwrap();
        assert_eq!(DataSet::open(made.path(), &[]).unwrap().classes, ["a", "b"]);
    }

    #[test]
    fn names_match_in_composed_and_decomposed_form() {
        let made = folder(&["a\u{308}/1.png"]);
        fs::write(made.path().join("classes.txt"), "a\n\u{e4}\n").unwrap();
        fs::write(made.path().join("captions.tsv"), "\u{e4}/1.png\tk\u{e4}se\n").unwrap();
        let item = DataSet::open(made.path(), &[]).unwrap().items.remove(0);
        assert_eq!((item.class, item.caption()), (Some(1), Some("k\u{e4}se")));
    }

    /// The layout that the published `data/cc3m/README.md` shows: names without extensions, and a list for each
    /// split.
    #[test]
    fn published_lists_name_the_pictures_and_their_split() {
        let made = folder(&["train/246f24", "train/6a8701", "train/LICENSE", "val/d4473a", "val/8b1248"]);
        let list = |name: &str, text: &str| fs::write(made.path().join(name), text).unwrap();
        list("train_list.txt", "./train/246f24\tauthor : a life\n./train/6a8701\tphotograph of the sign\n");
        let captions = |split| -> Vec<String> {
            let items = DataSet::open(made.path(), &[]).unwrap().of(split);
            items.iter().map(|item| item.caption().unwrap().into()).collect()
        };
        assert_eq!(captions(Split::All), ["author : a life", "photograph of the sign"]);
        list("val_list.txt", "./val/d4473a\tthe player\n./val/8b1248\tthe cottage\n");
        assert_eq!(captions(Split::Train), ["author : a life", "photograph of the sign"]);
        assert_eq!(captions(Split::HeldOut), ["the cottage", "the player"]);
    }

    #[test]
    fn a_folder_without_pictures_is_no_class() {
        let made = folder(&["b/2.png", "a/notes.txt", "c/deep/3.png", "d/deep/e.txt"]);
        let data = DataSet::open(made.path(), &[]).unwrap();
        assert_eq!(data.classes, ["b", "c"]);
        let found = folder::all_pictures(made.path()).unwrap();
        let names = ["b", "c"].map(String::from).into();
        assert_eq!(empty_folders(made.path(), &found.folders, &names), ["a", "d"]);
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let error = DataSet::open(folder(&["a/readme.txt"]).path(), &[]).unwrap_err().to_string();
        assert!(error.contains("expected pictures"), "{error}");
    }

    #[test]
    fn one_in_sixteen_is_held_out_together_with_its_variants() {
        let held = (0..16_000).filter(|i| is_held_out(Path::new(&format!("n{i}.png")))).count();
        assert!((800..1200).contains(&held), "{held}");
        for i in 0..200 {
            let [plain, toned] = [format!("a/n{i}.png"), format!("b/n{i}~dark.webp")];
            assert_eq!(is_held_out(Path::new(&plain)), is_held_out(Path::new(&toned)));
        }
        let data = DataSet::open(folder(&["1.png", "2.png", "3.png"]).path(), &[]).unwrap();
        assert_eq!(data.of(Split::Train).len() + data.of(Split::HeldOut).len(), data.of(Split::All).len());
    }
}
