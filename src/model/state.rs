//! Which weights of a checkpoint are meant.

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
