//! Files on disk: what is there, and its bytes.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An open file, read at offsets, possibly from several threads at once.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    len: u64,
}

impl OpenFile {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        // Opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is a pipe or a device: save its content to a file first"));
        }
        Ok(Self { file: File::open(path)?, len: metadata.len() })
    }

    /// Its length in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        read_exact_at(&self.file, buffer, offset)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
        offset += read as u64;
    }
    Ok(())
}

pub(super) fn is_file(path: &Path) -> bool {
    path.is_file()
}

pub(super) fn is_folder(path: &Path) -> std::io::Result<bool> {
    Ok(std::fs::metadata(path)?.is_dir())
}

pub(super) fn is_link(path: &Path) -> bool {
    path.is_symlink()
}

pub(super) fn real(path: &Path) -> std::io::Result<PathBuf> {
    path.canonicalize()
}

pub(super) fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}
