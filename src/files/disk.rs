//! Files on a disk.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// An open file, read at positions: from several threads at once where wanted.
#[derive(Debug)]
pub struct Opened {
    file: File,
    len: u64,
}

impl Opened {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(Self { file, len: metadata.len() })
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

/// All bytes of the file at `path`. A file of more than `limit` bytes is refused before it fills the memory, also
/// where it does not know its own length (a pipe, a device).
///
/// # Errors
/// The file is missing, unreadable or larger than `limit`.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit {
        let path = path.display();
        return Err(Error::invalid(format!(
            "{path}: the file is larger than the {} MB allowed",
            limit >> 20
        )));
    }
    Ok(bytes)
}

/// Writes `path` through a temporary file in the same folder, renamed once `write` has succeeded: a reader never
/// sees half a file, and a failure leaves the old one as it was.
///
/// # Errors
/// The folder is missing or cannot be written; `path` is a device, which would be replaced; what `write` fails with.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    if path.metadata().is_ok_and(|data| !data.is_file()) {
        return Err(Error::usage(format!(
            "{}: expected a file to write, found something else",
            path.display()
        )));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = temporary(folder).map_err(Error::io("create", path))?;
    write(file.as_file_mut())?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| Error::io("write", path)(error.error))?;
    Ok(())
}

/// A temporary file, as readable as any other, which it will become. By default it would be private.
#[cfg(unix)]
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    tempfile::Builder::new().permissions(permissions).tempfile_in(folder)
}

#[cfg(windows)]
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::NamedTempFile::new_in(folder)
}

/// Writes `bytes` to `path`, whole or not at all; see [`write_atomically`].
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| file.write_all(bytes).map_err(Error::io("write", path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        save(&path, b"first").unwrap();
        let failed = write_atomically(&path, |file| {
            file.write_all(b"sec").unwrap();
            Err(Error::Cancelled)
        });
        assert!(matches!(failed, Err(Error::Cancelled)));
        assert_eq!(read_limited(&path, 5).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[test]
    fn a_missing_folder_and_a_large_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none").join("a.txt");
        let message = save(&path, b"").unwrap_err().to_string();
        assert!(message.starts_with("cannot create ") && message.contains("a.txt"), "{message}");

        let path = folder.path().join("large");
        std::fs::write(&path, vec![0; (1 << 20) + 1]).unwrap();
        let message = read_limited(&path, 1 << 20).unwrap_err().to_string();
        assert!(message.ends_with("the file is larger than the 1 MB allowed"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_has_the_usual_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [plain, atomic] = ["plain", "atomic"].map(|name| folder.path().join(name));
        std::fs::write(&plain, "").unwrap();
        save(&atomic, b"").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(atomic), mode(plain));
    }
}
