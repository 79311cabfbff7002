//! Which weights of a model are meant, and how they are kept.

use serde::{Deserialize, Serialize};

/// Which weights of a checkpoint: the trained ones or their moving average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateKind {
    /// The moving average where there is one, else the trained ones.
    #[default]
    Auto,
    /// The trained ones: `state_dict`.
    State,
    /// The exponential moving average: `state_dict_ema`.
    Ema,
}

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
