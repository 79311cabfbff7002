//! One process at a time writes a run.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Held as long as a run is written. The system lets go of it however the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the run in `root`, a folder that exists.
    ///
    /// # Errors
    /// Another process, or another part of this one, holds it; the folder cannot be written.
    pub fn take(root: &Path) -> Result<Self> {
        let path = place(root);
        let file = File::options().create(true).write(true).truncate(false).open(&path);
        let file = file.map_err(Error::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::usage(format!(
                    "{}: expected a run that nobody writes, found it being trained already: wait for that to end, or stop it",
                    root.display()
                )));
            }
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(
                    "{}: its file system has no locks: see to it that only one process trains this run",
                    root.display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        Ok(Self { _file: file })
    }
}

/// The file that is locked.
pub fn place(root: &Path) -> PathBuf {
    root.join(".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_once_and_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains("being trained already")), "{error}");
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
