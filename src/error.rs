//! The one error type of the library: each message says what was expected, what was found and what to do.

use std::fmt::Display;
use std::path::Path;

/// What went wrong, for a reason outside the program. `Display` is one line, fit to be shown to a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for something that does not exist or makes no sense (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// A file, a model or a device is not what it should be (exit code 1).
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
    /// A graphics device has no memory left for the work.
    #[error(
        "the graphics device has run out of memory: make fewer pictures at once, use --precision q8, or --device cpu"
    )]
    OutOfMemory,
    /// The person stopped the work; what was whole has been kept.
    #[error("stopped")]
    Cancelled,
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A request that cannot be met as asked.
    pub fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A file, model or device that is not what it should be.
    pub fn invalid(message: impl Display) -> Self {
        Self::Invalid(message.to_string())
    }

    /// For `map_err` on an operation that reads, writes or creates `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}
