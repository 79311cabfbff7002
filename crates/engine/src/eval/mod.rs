//! Metrics of models on a folder of pictures, one file per metric.

pub mod acceptance;
pub mod clip;
pub mod context;
pub mod likelihood;
pub mod pictures;
pub mod reconstruction;
pub mod sets;
pub mod tally;

pub use pictures::{LeftOut, Pictures, Selection};
pub use tally::{Sizes, Tally};

/// The mean of `values`; NaN if there are none.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
