//! A lock that lets only one process at a time write a run.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use residua_core::error::{Error, Result};

/// Held while a run is written. The system releases it however the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the run in `root`, an existing folder.
    ///
    /// # Errors
    /// Another process, or another part of this one, holds the lock; the folder cannot be written.
    pub fn take(root: &Path) -> Result<Self> {
        let path = place(root);
        let file = File::options().create(true).write(true).truncate(false).open(&path);
        let file = file.map_err(Error::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::usage(format!(
                    "{}: expected an idle run, found one that is already being trained: wait for it to end, or stop it",
                    root.display()
                )));
            }
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(
                    "{}: its file system does not support locks: make sure that only one process trains this run",
                    root.display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        Ok(Self { _file: file })
    }
}

/// Path of the lock file.
pub fn place(root: &Path) -> PathBuf {
    root.join(".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_lock_is_held_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains("already being trained")), "{error}");
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
