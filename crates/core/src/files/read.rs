//! Reads whole files from disk, piece by piece.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes read between two calls of a watcher.
const PIECE: u64 = 1 << 20;

/// All bytes of the file at `path`. A file larger than `limit` bytes is refused before it fills the memory,
/// even if it has no known length (a pipe, a device). `watch` is called from time to time with the bytes read so far
/// and the file's length, and ends the reading with an error.
///
/// # Errors
/// The file is missing, a folder, unreadable or larger than `limit`, or the error from `watch`.
pub fn read_watched(
    path: &Path,
    limit: u64,
    watch: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(super::found_folder(path));
    }
    let file = File::open(path).map_err(Error::io("read", path))?;
    let length = file.metadata().map_or(0, |data| data.len() as usize);
    let (mut file, mut bytes) = (file.take(limit + 1), Vec::new());
    while file.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(Error::io("read", path))? > 0 {
        watch(bytes.len(), length)?;
    }
    if bytes.len() as u64 > limit { Err(super::too_large(path, limit)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::read_limited;

    #[test]
    fn reading_is_watched_and_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let (length, piece) = (5 * PIECE as usize / 2, PIECE as usize);
        std::fs::write(&path, vec![7; length]).unwrap();
        let mut told = Vec::new();
        let bytes = read_watched(&path, u64::MAX - 1, &mut |done, all| {
            told.push((done, all));
            Ok(())
        });
        assert_eq!(bytes.unwrap(), vec![7; length]);
        assert_eq!(told, [(piece, length), (2 * piece, length), (length, length)]);
        let mut calls = 0;
        let stopped = read_watched(&path, 1 << 30, &mut |_, _| {
            calls += 1;
            Err(Error::Cancelled)
        });
        assert!(matches!(stopped, Err(Error::Cancelled)) && calls == 1);
    }

    #[test]
    fn a_large_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        std::fs::write(&path, vec![0; (1 << 20) + 1]).unwrap();
        let message = read_limited(&path, 1 << 20).unwrap_err().to_string();
        assert!(message.ends_with("the file is larger than the 1 MB allowed"), "{message}");
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let message = read_limited(folder.path(), 1 << 20).unwrap_err().to_string();
        assert!(message.starts_with("expected a file, found a folder: "), "{message}");
    }
}
