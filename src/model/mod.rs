//! The two models: RQ-VAE (stage 1) and RQ-Transformer (stage 2), with all options of the published ones.

pub mod config;
#[cfg(feature = "models")]
pub mod dropout;
mod precision;
pub mod preset;
#[cfg(feature = "models")]
pub mod rqtransformer;
#[cfg(feature = "models")]
pub mod rqvae;
mod state;

pub use config::architecture::Architecture;
pub use config::rqtransformer::{ConditionKind, RqTransformerConfig};
pub use config::rqvae::RqVaeConfig;
pub use config::{Config, ModelConfig};
pub use precision::Precision;
#[cfg(feature = "models")]
pub use rqtransformer::RqTransformer;
#[cfg(feature = "models")]
pub use rqvae::RqVae;
pub use state::StateKind;
