//! How weights are stored in memory.

use serde::{Deserialize, Serialize};

/// The precision in which the weights of linear layers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As in the file.
    #[default]
    Stored,
    /// Half precision: half the memory of f32 and twice the decoding speed; values differ in the fourth
    /// digit.
    F16,
    /// Eight bits per weight and a scale for every 32: little more than a quarter of the memory of f32;
    /// values differ in the third digit.
    Q8,
}
