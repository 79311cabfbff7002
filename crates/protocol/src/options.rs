//! Options for loading models.

use residua_core::config::{Precision, StateKind};

/// How to load models.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// A bundled model's name or a path.
    pub model: String,
    /// The path of stage 1, if it is not where stage 2 says.
    pub rqvae: Option<String>,
    /// Trained weights or their moving average.
    pub state: StateKind,
    /// Precision of the transformer's weights.
    pub precision: Precision,
}
