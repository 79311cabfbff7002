//! Which weights of a checkpoint to load.

use serde::{Deserialize, Serialize};

/// Which weights of a checkpoint to load: the trained ones or their moving average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateKind {
    /// The trained weights if the file has them, otherwise the moving average. The published trainer never
    /// updates its average, which therefore still holds the initial weights. (Our own runs save only one kind
    /// of weights: the average, if the run keeps one.)
    #[default]
    Auto,
    /// The trained weights: `state_dict`.
    State,
    /// The exponential moving average: `state_dict_ema`.
    Ema,
    /// The weights of the discriminator that an RQ-VAE was trained with: `discriminator`.
    Discriminator,
}
