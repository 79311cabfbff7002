//! What a person says of the models to load.

use crate::model::{Precision, StateKind};

/// How models are loaded.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// A bundled model's name or a path.
    pub model: String,
    /// Where stage 1 lies, if not where stage 2 says.
    pub rqvae: Option<String>,
    /// Trained weights or their moving average.
    pub state: StateKind,
    /// Precision of the transformer's weights.
    pub precision: Precision,
}
