//! A checkpoint: a configuration with the weights of its model.

mod average;
#[cfg(not(target_family = "wasm"))]
pub mod convert;
#[cfg(not(target_family = "wasm"))]
mod describe;
mod open;
mod pair;
mod parameters;

pub use open::{Checkpoint, Stage};
