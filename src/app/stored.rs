//! Models in the browser's storage; the desktop has none.

use serde::Deserialize;

/// A stored model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stored {
    /// Its address.
    pub place: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// True if it was downloaded completely.
    pub complete: bool,
}

impl Stored {
    /// Deletes it.
    pub fn forget(&self) {
        #[cfg(target_family = "wasm")]
        residua_core::host::forget(&self.place);
    }
}
