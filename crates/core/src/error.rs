//! The one error type of the library: each message says what was expected, what was found and what to do.

use std::fmt::Display;
use std::path::Path;

/// Something failed for a reason outside the program. `Display` gives one line that can be shown to the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request names something that does not exist or makes no sense (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// A file, a model or a device is invalid (exit code 1).
    #[error("{0}")]
    Invalid(String),
    /// The operating system refused to read or write `path`.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The verb: "read", "write", "create".
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The GPU ran out of memory.
    #[error(
        "the graphics device ran out of memory: work on fewer images at once, in a lower precision, or on the CPU"
    )]
    OutOfMemory,
    /// The user stopped the work; finished results are kept.
    #[error("stopped")]
    Cancelled,
}

/// A result with the library's error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The request cannot be met.
    pub fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A file, model or device is invalid.
    pub fn invalid(message: impl Display) -> Self {
        Self::Invalid(message.to_string())
    }

    /// For `map_err` on an operation that reads, writes or creates `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}
