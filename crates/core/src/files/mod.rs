//! The user's files: read completely within a limit or at offsets, or listed by folder; written completely or
//! not at all. They are on disk, or in a browser among the files that the page has opened.

pub mod bytes;
#[cfg(not(target_family = "wasm"))]
mod disk;
pub mod kinds;
pub mod npy;
#[cfg(target_family = "wasm")]
mod page;
#[cfg(not(target_family = "wasm"))]
mod read;
mod text;
#[cfg(not(target_family = "wasm"))]
mod write;

use std::path::{Component, Path, PathBuf};

#[cfg(not(target_family = "wasm"))]
pub use disk::OpenFile;
#[cfg(target_family = "wasm")]
pub use page::{Content, OpenFile, put, read_watched, remove, save};
#[cfg(not(target_family = "wasm"))]
pub use read::read_watched;
#[cfg(not(target_family = "wasm"))]
pub use write::{
    Existing, check_folder_writable, check_writable, create_folder, is_stream, save, save_as, would_replace,
    write, write_atomically,
};

#[cfg(not(target_family = "wasm"))]
use disk as system;
#[cfg(target_family = "wasm")]
use page as system;

use crate::error::{Error, Result};

/// Opens the file at `path`.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened; [`Error::Invalid`] if it is a folder.
pub fn open(path: &Path) -> Result<OpenFile> {
    OpenFile::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::IsADirectory => found_folder(path),
        _ => Error::io("read", path)(error),
    })
}

/// All bytes of the file at `path`. A file larger than `limit` bytes is refused before it fills the memory.
///
/// # Errors
/// The file is missing, unreadable or larger than `limit`.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_watched(path, limit, &mut |_, _| Ok(()))
}

/// What `decode` finds in the bytes of the file at `path`, which has at most `limit`.
///
/// # Errors
/// Those of [`read_limited`], and those of `decode` after the file's name.
pub fn read_with<T>(path: &Path, limit: u64, decode: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let bytes = read_limited(path, limit)?;
    decode(&bytes).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

/// The error for a folder at `path`, where a file should be.
fn found_folder(path: &Path) -> Error {
    Error::invalid(format!("expected a file, found a folder: {}", path.display()))
}

/// The error for the file at `path`, which has more than `limit` bytes.
fn too_large(path: &Path, limit: u64) -> Error {
    let path = path.display();
    Error::invalid(format!("{path}: the file is larger than the {} MB allowed", limit >> 20))
}

/// The path in `place`. In an address, the query and the fragment, which may hold an expected hash, are not
/// part of it.
pub fn located(place: &str) -> &Path {
    let is_address = place.starts_with("http:") || place.starts_with("https:");
    let end = if is_address { place.find(['?', '#']) } else { None };
    Path::new(&place[..end.unwrap_or(place.len())])
}

/// Whether there is a file at `path`.
pub fn is_file(path: &Path) -> bool {
    system::is_file(path)
}

/// Whether `path` is a folder.
///
/// # Errors
/// [`Error::Io`] if nothing exists there.
pub fn is_folder(path: &Path) -> Result<bool> {
    system::is_folder(path).map_err(Error::io("read", path))
}

/// Whether `path` is a link, even a broken one.
pub fn is_link(path: &Path) -> bool {
    system::is_link(path)
}

/// `path` with all links resolved.
///
/// # Errors
/// Nothing exists there, or links are circular.
pub fn real(path: &Path) -> std::io::Result<PathBuf> {
    system::real(path)
}

/// `path` relative to `folder`, both of which must exist, with `/` between its parts. `None` if they are on
/// different drives or a name is not Unicode.
pub fn relative(path: &Path, folder: &Path) -> Option<String> {
    let [path, folder] = [path, folder].map(real);
    let (path, folder) = (path.ok()?, folder.ok()?);
    let shared = path.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    let ups = folder.components().skip(shared).map(|_| Some(".."));
    let downs = path.components().skip(shared).map(|part| part.as_os_str().to_str());
    // A different drive means a different first component, which no `..` can leave.
    let parts = (shared > 0).then(|| ups.chain(downs).collect::<Option<Vec<_>>>())??;
    Some(parts.join("/"))
}

/// `path` without `.` and `..`, ignoring links.
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => (),
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// Whether `path`, which need not exist yet, is `folder` or below it.
pub fn is_within(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| real(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok();
    let nearest = path.ancestors().find_map(real);
    nearest.zip(real(folder)).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// The text in the file at `path`, of at most `limit` bytes, in UTF-8 or in UTF-16 with a byte order mark.
///
/// # Errors
/// The file is missing, unreadable, larger than `limit`, or not text.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    as_text(path, &read_limited(path, limit)?)
}

/// The text in `bytes`, read from `path`, in UTF-8 or in UTF-16 with a byte order mark.
///
/// # Errors
/// They are not text, or a text that stands in for another file, such as a web page.
pub fn as_text(path: &Path, bytes: &[u8]) -> Result<String> {
    text::decode(bytes).filter(|_| kinds::known(bytes).is_none()).ok_or_else(|| {
        let found = kinds::found(bytes);
        Error::invalid(format!("{}: expected text in UTF-8, found {found}", path.display()))
    })
}

/// Whether anything exists at `path`.
pub fn exists(path: &Path) -> bool {
    system::is_folder(path).is_ok()
}

/// The entries of `folder`, sorted by name.
///
/// # Errors
/// [`Error::Io`] if it cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = system::list(folder).map_err(Error::io("read", folder))?;
    found.sort();
    Ok(found)
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        ["a/b", "c"].iter().for_each(|name| std::fs::create_dir_all(at(name)).unwrap());
        std::fs::write(at("c/x.pt"), "").unwrap();
        for (path, folder, expected) in [
            ("c/x.pt", "c", Some("x.pt")),
            ("c/x.pt", "a/b", Some("../../c/x.pt")),
            ("a/../c/x.pt", "a", Some("../c/x.pt")),
            ("c/y.pt", "c", None),
        ] {
            assert_eq!(relative(&at(path), &at(folder)).as_deref(), expected, "{path} from {folder}");
        }
        for (path, folder, expected) in [
            ("c", "c", true),
            ("c/x.pt", "c", true),
            ("c/new/too", "c", true),
            ("a/../c/new", "c", true),
            ("a/b", "c", false),
            ("new", "c", false),
            ("c", "new", false),
        ] {
            assert_eq!(is_within(&at(path), &at(folder)), expected, "{path} within {folder}");
        }
        assert!(is_within(Path::new("new"), Path::new(".")));
        assert_eq!(plain(Path::new("./a/../../b/./c")), Path::new("b/c"));
    }
}
