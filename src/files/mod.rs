//! The user's files: read whole within a limit, at positions, or a folder's names; written whole or not at all. On a disk,
//! or in a browser among those that the page has opened.

pub mod bytes;
#[cfg(not(target_family = "wasm"))]
mod disk;
pub mod kinds;
pub mod npy;
#[cfg(target_family = "wasm")]
mod page;

use std::path::{Path, PathBuf};

#[cfg(not(target_family = "wasm"))]
pub use disk::{
    Existing, Opened, is_stream, read_limited, save, save_as, would_replace, write, write_atomically,
};
#[cfg(target_family = "wasm")]
pub use page::{Content, Opened, put, read_limited, remove, save};

#[cfg(not(target_family = "wasm"))]
use disk as system;
#[cfg(target_family = "wasm")]
use page as system;

use crate::error::{Error, Result};

/// Opens the file at `path`.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened; [`Error::Invalid`] if it is a folder.
pub fn open(path: &Path) -> Result<Opened> {
    Opened::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::IsADirectory => {
            Error::invalid(format!("expected a file, found a folder: {}", path.display()))
        }
        _ => Error::io("read", path)(error),
    })
}

/// Where the file lies that `place` names: an address has parts that only its server reads, or that say what it must be.
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
/// [`Error::Io`] if there is nothing.
pub fn is_folder(path: &Path) -> Result<bool> {
    system::is_folder(path).map_err(Error::io("read", path))
}

/// Whether there is something at `path`.
pub fn exists(path: &Path) -> bool {
    system::is_folder(path).is_ok()
}

/// What lies in `folder`, by name.
///
/// # Errors
/// [`Error::Io`] if it cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = system::list(folder).map_err(Error::io("read", folder))?;
    found.sort();
    Ok(found)
}
