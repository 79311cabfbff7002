//! How good models are on a folder of pictures: each file is one thing that is measured.

pub mod acceptance;
pub mod clip;
pub mod context;
pub mod likelihood;
pub mod pictures;
pub mod reconstruction;
pub mod sets;

pub use pictures::{LeftOut, Pictures, Selection};

/// The mean of `values`; not a number where there are none.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
