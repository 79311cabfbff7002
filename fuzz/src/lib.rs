//! What the targets have in common.

mod meter;
pub mod pictures;
pub mod weights;
pub mod yaml;

pub use meter::within_bounds;
