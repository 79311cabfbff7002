//! How weights are kept.

use serde::{Deserialize, Serialize};

/// In what precision the weights of linear layers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As in the file.
    #[default]
    Stored,
    /// Half of f32: half the memory, and decoding twice as fast; values differ in the fourth digit.
    F16,
    /// Eight bits each and a scale for 32: little more than a quarter of the memory; values differ in the third digit.
    Q8,
}
