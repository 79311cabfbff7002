//! The modules under test, and what their targets have in common.

pub mod checkpoint;
#[path = "../../src/codes/mod.rs"]
pub mod codes;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/files/mod.rs"]
pub mod files;
pub mod generate;
mod meter;
pub mod model;
pub mod pictures;

pub use meter::within_bounds;
