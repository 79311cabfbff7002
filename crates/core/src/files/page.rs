//! Files that a page has opened in a browser, under the names it gave them. Saved files become downloads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use js_sys::Uint8Array;
use web_sys::{Blob, FileReaderSync};

use super::plain;
use crate::error::{Error, Result};

/// The content of a file.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// Bytes that the browser holds, usually on disk. Only a worker can read them.
    Blob(Blob),
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            // A length in bytes, which JavaScript stores as a float.
            Self::Blob(blob) => blob.size() as u64,
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match self {
            Self::Bytes(bytes) => buffer.copy_from_slice(&bytes[offset as usize..][..buffer.len()]),
            Self::Blob(blob) => {
                let (start, end) = (offset as f64, (offset + buffer.len() as u64) as f64);
                let read = blob
                    .slice_with_f64_and_f64(start, end)
                    .and_then(|part| FileReaderSync::new()?.read_as_array_buffer(&part))
                    .map_err(|error| IoError::other(format!("the browser refused to read it: {error:?}")))?;
                Uint8Array::new(&read).copy_to(buffer);
            }
        }
        Ok(())
    }
}

thread_local! {
    static FILES: RefCell<BTreeMap<PathBuf, Content>> = const { RefCell::new(BTreeMap::new()) };
}

/// Sets the content of `path`.
pub fn put(path: &Path, content: Content) {
    FILES.with_borrow_mut(|files| files.insert(plain(path), content));
}

/// Removes the file at `path`, or all files below it.
pub fn remove(path: &Path) {
    let path = plain(path);
    FILES.with_borrow_mut(|files| files.retain(|file, _| !file.starts_with(&path)));
}

/// A file of the page. Each read looks up the content, so any thread may hold this.
#[derive(Debug)]
pub struct OpenFile {
    path: PathBuf,
    len: u64,
}

impl OpenFile {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        if is_folder(path)? {
            return Err(ErrorKind::IsADirectory.into());
        }
        let path = plain(path);
        let len = content(&path)?.len();
        Ok(Self { path, len })
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        content(&self.path)?.read_exact_at(buffer, offset)
    }
}

/// Bytes read between two calls of a watcher.
const PIECE: usize = 16 << 20;

/// All bytes of the file at `path`, at most `limit`. `watch` is called from time to time with the bytes read so far and
/// the file's length, and ends the reading with an error.
///
/// # Errors
/// The file is missing, unreadable or larger than `limit`, or the error from `watch`.
pub fn read_watched(
    path: &Path,
    limit: u64,
    watch: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Vec<u8>> {
    let opened = super::open(path)?;
    if opened.size() > limit {
        return Err(super::too_large(path, limit));
    }
    let length = opened.size() as usize;
    let mut bytes = vec![0; length];
    let mut done = 0;
    for piece in bytes.chunks_mut(PIECE) {
        opened.read_exact_at(piece, done as u64).map_err(Error::io("read", path))?;
        done += piece.len();
        watch(done, length)?;
    }
    Ok(bytes)
}

/// Saves `bytes` through the browser's downloads.
///
/// # Errors
/// There is no page.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    crate::host::save(path, bytes)
}

pub(super) fn is_file(path: &Path) -> bool {
    content(&plain(path)).is_ok()
}

/// A path is a folder if there are files below it.
pub(super) fn is_folder(path: &Path) -> std::io::Result<bool> {
    let path = plain(path);
    FILES.with_borrow(|files| {
        let mut below = files.keys().filter(|file| file.starts_with(&path)).peekable();
        below.peek().ok_or(ErrorKind::NotFound)?;
        Ok(below.any(|file| *file != path))
    })
}

/// A page has no links.
pub(super) fn is_link(_: &Path) -> bool {
    false
}

pub(super) fn real(path: &Path) -> std::io::Result<PathBuf> {
    Ok(plain(path))
}

pub(super) fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let folder = plain(folder);
    FILES.with_borrow(|files| {
        let below = files.keys().filter_map(|file| file.strip_prefix(&folder).ok()?.components().next());
        let mut found: Vec<PathBuf> = below.map(|name| folder.join(name)).collect();
        found.dedup();
        if found.is_empty() { Err(ErrorKind::NotFound.into()) } else { Ok(found) }
    })
}

fn content(path: &Path) -> std::io::Result<Content> {
    FILES.with_borrow(|files| files.get(path).cloned()).ok_or(ErrorKind::NotFound.into())
}
