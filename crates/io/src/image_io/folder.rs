//! Users' folders of images: which files are images, and which are left out and why.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use super::names::is_picture;
use super::names::{self, is_hidden, is_text};
use super::png_text::is_sheet;
use super::{Picture, decode};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::task::check_interrupted;
use residua_core::text::{shown_path, some_of};

/// The contents of a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Files with the names of images, sorted.
    pub pictures: Vec<PathBuf>,
    /// Files without an extension: images only if a text says so.
    pub unnamed: BTreeSet<PathBuf>,
    /// Files that may describe the images.
    pub texts: BTreeSet<PathBuf>,
    /// The folder and all subfolders that were searched.
    pub folders: BTreeSet<PathBuf>,
    /// Entries that look like data but are not read, sorted.
    pub left_out: Vec<LeftOut>,
}

/// An entry that is not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path.
    #[serde(serialize_with = "shown_path")]
    pub path: PathBuf,
    /// Why it is left out.
    pub reason: String,
}

/// The images in `folder`, without its subfolders.
///
/// # Errors
/// The folder cannot be read.
pub fn pictures(folder: &Path) -> Result<Found> {
    Walk::new(folder, false)?.run()
}

/// The images in `folder` and its subfolders, at any depth. Links are followed, but a target of several links
/// is included once. Hidden files and folders and folders of training runs are left out.
///
/// # Errors
/// The folder itself cannot be read, or the process was interrupted.
pub fn all_pictures(folder: &Path) -> Result<Found> {
    Walk::new(folder, true)?.run()
}

/// Reads an image in a folder as data. A sheet of several images is refused, because it would be learned or
/// measured as one.
///
/// # Errors
/// The image cannot be read, or is a sheet.
pub fn read(path: &Path) -> Result<Picture> {
    files::read_with(path, decode::MAX_FILE_BYTES, |bytes| {
        if is_sheet(bytes) {
            return Err(Error::invalid("a sheet of several pictures in one; expected separate pictures"));
        }
        Picture::from_bytes(bytes)
    })
}

/// Warns of entries left out of `folder`, with a line for each reason.
pub fn warn(folder: &Path, left_out: &[LeftOut]) {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for LeftOut { path, reason } in left_out {
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        reasons.entry(reason).or_default().push(name);
    }
    for (reason, names) in reasons {
        let (count, names) = (names.len(), some_of(&names));
        tracing::warn!("{}: {count} left out, {reason}: {names}", folder.display());
    }
}

/// Why a file was not read, without its name, so that one line covers several files.
fn unread(error: &Error) -> String {
    match error {
        Error::Io { source, .. } => format!("cannot be read ({source})"),
        other => other.to_string(),
    }
}

/// Whether `folder` belongs to a training run, whose sheets are not data.
fn is_run(folder: &Path) -> bool {
    files::is_file(&folder.join("config.yaml")) && files::exists(&folder.join("checkpoints"))
}

/// The kind of a path, following links.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    File,
    Folder,
    /// A pipe or a device: reading it may never end.
    Special,
}

fn kind(path: &Path) -> Result<Kind> {
    Ok(if files::is_folder(path)? {
        Kind::Folder
    } else if files::is_file(path) {
        Kind::File
    } else {
        Kind::Special
    })
}

/// A search through folders.
struct Walk {
    root: PathBuf,
    /// The root with all links resolved.
    real_root: PathBuf,
    /// Whether to search subfolders.
    below: bool,
    pictures: BTreeSet<PathBuf>,
    /// Folders to search: the path where each was found, and its real path.
    waiting: Vec<(PathBuf, PathBuf)>,
    /// Links to follow, those to folders first, so that a folder's files are not left out because of a link
    /// to one of them.
    links: BTreeSet<(bool, PathBuf)>,
    /// The real paths of followed links.
    linked: HashSet<PathBuf>,
    found: Found,
}

impl Walk {
    fn new(root: &Path, below: bool) -> Result<Self> {
        let real_root = files::real(root).map_err(Error::io("read", root))?;
        if !files::is_folder(root)? {
            return Err(Error::usage(format!(
                "{}: expected a folder of pictures, found a file: unpack it if it is an archive",
                root.display()
            )));
        }
        Ok(Self {
            root: root.into(),
            real_root,
            below,
            pictures: BTreeSet::new(),
            waiting: Vec::new(),
            links: BTreeSet::new(),
            linked: HashSet::new(),
            found: Found::default(),
        })
    }

    fn run(mut self) -> Result<Found> {
        let (root, real_root) = (self.root.clone(), self.real_root.clone());
        self.look_into(root, &real_root)?;
        loop {
            check_interrupted()?;
            if let Some((folder, real)) = self.waiting.pop() {
                if let Err(error) = self.look_into(folder.clone(), &real) {
                    self.leave_out(folder, &unread(&error));
                }
            } else if let Some((_, link)) = self.links.pop_first() {
                // Links come last, for the same reason.
                self.follow(link);
            } else {
                break;
            }
        }
        self.found.pictures = self.pictures.into_iter().collect();
        self.found.left_out.sort();
        Ok(self.found)
    }

    fn look_into(&mut self, folder: PathBuf, real: &Path) -> Result<()> {
        let below = folder.strip_prefix(&self.root).unwrap_or(&folder);
        let is_linked = self.real_root.join(below) != real;
        for path in files::list(&folder)? {
            let real = real.join(path.file_name().unwrap_or_default());
            if is_hidden(&path) {
                let is_data = is_picture(&path) || self.below && kind(&path).ok() == Some(Kind::Folder);
                if is_data {
                    self.leave_out(path, "hidden");
                }
            } else if files::is_link(&path) {
                self.links.insert((kind(&path).ok() != Some(Kind::Folder), path));
            } else if is_linked {
                self.take_once(path, real);
            } else {
                self.take(path, real);
            }
        }
        self.found.folders.insert(folder);
        Ok(())
    }

    fn follow(&mut self, link: PathBuf) {
        match files::real(&link) {
            Err(_) => self.leave_out(link, "broken links"),
            Ok(real) if self.below && self.real_root.starts_with(&real) => {
                self.leave_out(link, "links to parent folders");
            }
            Ok(real) => self.take_once(link, real),
        }
    }

    /// Adds the target of a link, unless it was already added. A text may belong to several images.
    fn take_once(&mut self, path: PathBuf, real: PathBuf) {
        let is_folder = kind(&path).ok() == Some(Kind::Folder);
        let is_data = if is_folder { self.below } else { is_picture(&path) };
        if is_data && self.is_known(&real) {
            return self.leave_out(path, "links to something already included");
        }
        if is_data {
            self.linked.insert(real.clone());
        }
        self.take(path, real);
    }

    /// Adds the entry at `path`, whose real path is `real`.
    fn take(&mut self, path: PathBuf, real: PathBuf) {
        match kind(&path) {
            Ok(Kind::Folder) if !self.below => (),
            Ok(Kind::Folder) if is_run(&path) => self.leave_out(path, "folders of training runs"),
            Ok(Kind::Folder) => self.waiting.push((path, real)),
            Ok(Kind::File) if is_picture(&path) => drop(self.pictures.insert(path)),
            Ok(Kind::File) if is_text(&path) => drop(self.found.texts.insert(path)),
            Ok(Kind::File) if path.extension().is_none() => drop(self.found.unnamed.insert(path)),
            Ok(Kind::File) => {
                if let Some(reason) = names::unsupported(&path) {
                    self.leave_out(path, reason);
                }
            }
            Ok(Kind::Special) if is_picture(&path) || is_text(&path) => self.leave_out(path, "not files"),
            Err(error) if is_picture(&path) || is_text(&path) => self.leave_out(path, &unread(&error)),
            Ok(Kind::Special) | Err(_) => (),
        }
    }

    /// Whether the entry with the real path `real` was already added.
    fn is_known(&self, real: &Path) -> bool {
        let inside = real.strip_prefix(&self.real_root).map(|below| self.root.join(below));
        let is_found = |path: PathBuf| self.pictures.contains(&path) || self.found.folders.contains(&path);
        inside.is_ok_and(is_found) || self.linked.contains(real)
    }

    fn leave_out(&mut self, path: PathBuf, reason: &str) {
        self.found.left_out.push(LeftOut { path, reason: reason.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::png_text::Provenance;
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is below")).expect("writable");
            std::fs::write(path, b"").expect("writable");
        }
        folder
    }

    fn names(folder: &Path, paths: &[PathBuf]) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(folder).expect("below").display().to_string();
        paths.iter().map(name).collect()
    }

    fn left_out(folder: &Path, found: &Found) -> Vec<(String, String)> {
        let paths: Vec<PathBuf> = found.left_out.iter().map(|one| one.path.clone()).collect();
        let reasons = found.left_out.iter().map(|one| one.reason.clone());
        names(folder, &paths).into_iter().zip(reasons).collect()
    }

    #[test]
    fn pictures_are_found_by_name_in_order() {
        let folder =
            folder(&["b.PNG", "a.jpeg", "notes.txt", "c.webp", "below/e.png", "d.png/f.png", ".g.png"]);
        let found = pictures(folder.path()).expect("readable");
        assert_eq!(names(folder.path(), &found.pictures), ["a.jpeg", "b.PNG", "c.webp"]);
        assert_eq!(left_out(folder.path(), &found), [(".g.png".into(), "hidden".into())]);
        let error = |name: &str| pictures(&folder.path().join(name)).expect_err("no folder").to_string();
        assert!(error("none").starts_with("cannot read"), "{}", error("none"));
        assert!(
            error("a.jpeg").contains("expected a folder of pictures, found a file"),
            "{}",
            error("a.jpeg")
        );
    }

    #[test]
    fn system_files_are_left_out_and_named_once() {
        let folder = folder(&[
            "cat/1.png",
            "cat/._1.png",
            "cat/Thumbs.db",
            "cat/.DS_Store",
            ".ipynb_checkpoints/1.png",
            "photo.HEIC",
            "00000.tar",
            "__MACOSX/cat/._1.png",
            "@eaDir/1.png",
            "run/config.yaml",
            "run/checkpoints/1/a.png",
            "run/sheets/1.png",
        ]);
        let found = all_pictures(folder.path()).expect("readable");
        assert_eq!(names(folder.path(), &found.pictures), ["cat/1.png"]);
        let expected = [
            (".ipynb_checkpoints", "hidden"),
            ("00000.tar", "archives and tables of pictures, which must be unpacked"),
            ("@eaDir", "hidden"),
            ("__MACOSX", "hidden"),
            ("cat/._1.png", "hidden"),
            ("photo.HEIC", "not PNG, JPEG, WebP, GIF or BMP"),
            ("run", "folders of training runs"),
        ];
        assert_eq!(left_out(folder.path(), &found), expected.map(|(path, why)| (path.into(), why.into())));
    }

    #[test]
    fn folders_may_be_deep() {
        let deep = ["d"; 40].join("/");
        let folder = folder(&[&format!("{deep}/1.png")]);
        assert_eq!(all_pictures(folder.path()).expect("readable").pictures.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once() {
        use std::os::unix::fs::symlink;
        let outside = folder(&["x.png", "b/y.png", "b/one.txt"]);
        let folder = folder(&["a/1.png", "a/2.png", ".store/3.png"]);
        let link = |to: &Path, name: &str| symlink(to, folder.path().join(name)).expect("writable");
        link(Path::new("nowhere.png"), "a/dangling.png");
        link(Path::new("loop.png"), "loop.png");
        link(Path::new("a/1.png"), "0.png");
        link(Path::new("../a"), "a/self");
        link(Path::new(".."), "up");
        link(Path::new(".store/3.png"), "stored.png");
        link(&outside.path().join("b"), "b");
        link(outside.path(), "outside");
        link(&outside.path().join("b/y.png"), "y.png");
        let found = all_pictures(folder.path()).expect("readable");
        let expected = ["a/1.png", "a/2.png", "b/y.png", "outside/x.png", "stored.png"];
        assert_eq!(names(folder.path(), &found.pictures), expected);
        let expected = [
            (".store", "hidden"),
            ("0.png", "links to something already included"),
            ("a/dangling.png", "broken links"),
            ("a/self", "links to something already included"),
            ("loop.png", "broken links"),
            ("outside/b", "links to something already included"),
            ("up", "links to parent folders"),
            ("y.png", "links to something already included"),
        ];
        assert_eq!(left_out(folder.path(), &found), expected.map(|(path, why)| (path.into(), why.into())));
    }

    #[cfg(unix)]
    #[test]
    fn special_files_are_not_read() {
        let folder = folder(&["1.png"]);
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("2.png")).expect("writable");
        let pipe = folder.path().join("captions.tsv");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().expect("a shell's tools").success());
        let found = all_pictures(folder.path()).expect("readable");
        assert_eq!(names(folder.path(), &found.pictures), ["1.png"]);
        let expected = ["2.png", "captions.tsv"].map(|name| (name.into(), "not files".into()));
        assert_eq!(left_out(folder.path(), &found), expected);
    }

    #[test]
    fn a_sheet_is_refused_as_data() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let picture = Picture::new(2, 1, vec![0.0; 6]).expect("whole");
        for (count, is_read) in [(1, true), (4, false)] {
            let recipe = Some(format!("{{\"sampling\": {{\"count\": {count}}}}}"));
            let path = folder.path().join(format!("{count}.png"));
            picture.save_png(&path, &Provenance { recipe, codes: None }).expect("writable");
            assert_eq!(read(&path).is_ok(), is_read, "{count}");
        }
        let path = folder.path().join("strip.png");
        files::save(&path, &picture.to_sheet().expect("small")).expect("writable");
        assert!(read(&path).is_err() && Picture::read(&path).is_ok());
    }
}
