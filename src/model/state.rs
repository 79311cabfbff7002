//! Which weights of a checkpoint are meant.

use serde::{Deserialize, Serialize};

/// Which weights of a checkpoint: the trained ones or their moving average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateKind {
    /// The trained ones where the file has them, else the moving average. The published trainer never moves its average, which so
    /// holds the first weights. (A run of ours writes one kind of weights, the average where it keeps one.)
    #[default]
    Auto,
    /// The trained ones: `state_dict`.
    State,
    /// The exponential moving average: `state_dict_ema`.
    Ema,
    /// Of an RQ-VAE, those of the discriminator that it was trained with: `discriminator`.
    Discriminator,
}
