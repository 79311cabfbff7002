//! Models that the browser keeps; elsewhere there are none.

use serde::Deserialize;

/// One of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stored {
    /// Its address.
    pub place: String,
    /// Its size.
    pub bytes: u64,
    /// Whether all of it was downloaded.
    pub complete: bool,
}

impl Stored {
    /// Deletes it.
    pub fn forget(&self) {
        #[cfg(target_family = "wasm")]
        crate::host::forget(&self.place);
    }
}
