//! Random access to the bytes of a file or of memory, with bounds checks.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::files::{self, OpenFile};

/// Bytes that are read by range, possibly from several threads at once.
///
/// Files are read at offsets and never memory-mapped: mapped pages would count as memory in use.
#[derive(Debug)]
pub enum ByteSource {
    /// A file.
    File {
        /// The open file.
        file: OpenFile,
        /// The path, for messages.
        path: PathBuf,
    },
    /// Bytes already in memory: a bundled model, a test.
    Memory(Arc<[u8]>),
    /// Several sources, one after another: the files of weights that are split.
    Joined(Vec<ByteSource>),
}

impl ByteSource {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened; [`Error::Invalid`] if it is a folder.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::File { file: files::open(path)?, path: path.to_owned() })
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::File { file, .. } => file.size(),
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Joined(parts) => parts.iter().map(Self::len).sum(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `len` bytes from `offset` on. Nothing is allocated for a range that does not exist.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the range ends past the end; [`Error::Io`] if the file cannot be read.
    pub fn read_at(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let len = self.check(offset, len)?;
        match self {
            // The check limits `offset` to the length in memory.
            Self::Memory(bytes) => Ok(bytes[offset as usize..][..len].to_vec()),
            Self::File { file, path } => {
                let mut buffer = vec![0; len];
                file.read_exact_at(&mut buffer, offset).map_err(Error::io("read", path))?;
                Ok(buffer)
            }
            Self::Joined(parts) => {
                let (mut buffer, mut before) = (Vec::with_capacity(len), offset);
                for part in parts {
                    let here = part.len().saturating_sub(before).min((len - buffer.len()) as u64);
                    if here > 0 {
                        buffer.extend(part.read_at(before, here)?);
                    }
                    before = before.saturating_sub(part.len());
                }
                Ok(buffer)
            }
        }
    }

    /// A reader that starts at the first byte, for libraries that need one.
    pub fn reader(&self) -> Cursor<'_> {
        Cursor { source: self, at: 0 }
    }

    /// `len` as an index, if the source has `len` bytes from `offset` on.
    fn check(&self, offset: u64, len: u64) -> Result<usize> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len());
        usize::try_from(len).ok().filter(|_| inside).ok_or_else(|| {
            let found = self.len();
            Error::invalid(format!(
                "expected {len} bytes at {offset}, found {found} bytes in all: the file is cut short or damaged"
            ))
        })
    }
}

/// Reads a [`ByteSource`] sequentially.
#[derive(Debug)]
pub struct Cursor<'s> {
    source: &'s ByteSource,
    at: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.source.len().saturating_sub(self.at).min(buffer.len() as u64);
        let bytes =
            self.source.read_at(self.at.min(self.source.len()), len).map_err(std::io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += len;
        Ok(bytes.len())
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn both(bytes: &[u8]) -> (tempfile::NamedTempFile, [ByteSource; 2]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let opened = ByteSource::open(file.path()).unwrap();
        (file, [opened, ByteSource::Memory(bytes.into())])
    }

    #[test]
    fn ranges_inside_are_read_and_others_refused() {
        let bytes: Vec<u8> = (0..100).collect();
        let (_file, sources) = both(&bytes);
        for source in sources {
            assert_eq!(source.len(), 100);
            assert_eq!(source.read_at(0, 100).unwrap(), bytes);
            assert_eq!(source.read_at(97, 3).unwrap(), [97, 98, 99]);
            assert!(source.read_at(100, 0).unwrap().is_empty());
            for (offset, len) in [(97, 4), (101, 0), (u64::MAX, 1), (1, u64::MAX), (0, 1 << 60)] {
                let message = source.read_at(offset, len).unwrap_err().to_string();
                assert!(message.contains("found 100 bytes in all"), "{message}");
            }
        }
    }

    #[test]
    fn joined_sources_are_read_as_one() {
        let part = |bytes: &[u8]| ByteSource::Memory(bytes.into());
        let joined = ByteSource::Joined(vec![part(b"abc"), part(b""), part(b"d"), part(b"efgh")]);
        assert_eq!(joined.len(), 8);
        for start in 0..=8 {
            for end in start..=8 {
                let read = joined.read_at(start as u64, (end - start) as u64).unwrap();
                assert_eq!(read, b"abcdefgh"[start..end]);
            }
        }
        assert!(joined.read_at(7, 2).is_err() && joined.read_at(9, 0).is_err());
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        let (file, [source, _]) = both(&[1; 100]);
        file.as_file().set_len(10).unwrap();
        assert!(matches!(source.read_at(5, 50), Err(Error::Io { .. })));
    }

    #[test]
    fn threads_read_at_the_same_time() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
        let (_file, [source, _]) = both(&bytes);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (source, bytes) = (&source, &bytes);
                scope.spawn(move || {
                    for step in 0..200 {
                        let at = (thread * 7919 + step * 311) % 60_000;
                        assert_eq!(source.read_at(at, 100).unwrap(), bytes[at as usize..][..100]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_folder_or_a_missing_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let message = ByteSource::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("found a folder"), "{message}");
        assert!(matches!(ByteSource::open(&folder.path().join("none")), Err(Error::Io { .. })));
    }

    /// Neither can be read at offsets, and opening a pipe would wait for a writer.
    #[cfg(unix)]
    #[test]
    fn a_pipe_or_a_device_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [Path::new("/dev/null"), &pipe] {
            let message = ByteSource::open(path).unwrap_err().to_string();
            assert!(message.ends_with("a pipe or a device: save its content to a file first"), "{message}");
        }
    }
}
