//! The two models: RQ-VAE (stage 1) and RQ-Transformer (stage 2), with all the options of the published ones.

pub mod config;
pub mod preset;
#[cfg(feature = "models")]
pub mod rqtransformer;
#[cfg(feature = "models")]
pub mod rqvae;
pub mod weights;

pub use config::rqtransformer::{ConditionKind, RqTransformerConfig};
pub use config::rqvae::RqVaeConfig;
pub use config::{Config, ModelConfig};
#[cfg(feature = "models")]
pub use rqtransformer::RqTransformer;
#[cfg(feature = "models")]
pub use rqvae::RqVae;
pub use weights::{Precision, StateKind};
