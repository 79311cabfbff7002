//! The plain data of Residua and its rules, without tensors: code stacks, sampling rules, configurations, files and
//! errors. All other crates build on it.

pub mod codes;
pub mod config;
pub mod error;
pub mod files;
#[cfg(target_family = "wasm")]
pub mod host;
pub mod memory;
pub mod part;
pub mod random;
pub mod ranks;
pub mod sampling;
pub mod task;
pub mod text;
pub mod trust;
pub mod warnings;

pub use error::{Error, Result};
