//! Bundled files: compiled into the program, or fetched by the page on demand in a browser.

pub mod bundled;

#[cfg(target_family = "wasm")]
use std::path::Path;

use residua_assets::Asset;
pub use residua_assets::SAMPLE;
use residua_core::error::Result;
use residua_core::files::bytes::ByteSource;

/// The bytes of a file.
///
/// # Errors
/// None: the program contains the file.
#[cfg(not(target_family = "wasm"))]
pub fn open(file: Asset) -> Result<ByteSource> {
    Ok(ByteSource::Memory(file.bytes.into()))
}

/// The bytes of a file.
///
/// # Errors
/// The page has not fetched it.
#[cfg(target_family = "wasm")]
pub fn open(file: Asset) -> Result<ByteSource> {
    ByteSource::open(&Path::new("assets").join(file.path))
}
