//! The modules under test, and what their targets have in common.

#[path = "../../src/codes/mod.rs"]
pub mod codes;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/files/mod.rs"]
pub mod files;
mod meter;
pub mod pictures;
#[path = "../../src/random.rs"]
mod random;
#[path = "../../src/sampling/mod.rs"]
pub mod sampling;
pub mod weights;
pub mod yaml;

pub use meter::within_bounds;
