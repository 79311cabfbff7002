//! The two models: RQ-VAE (stage 1) and RQ-Transformer (stage 2), with all the options of the published ones.

pub mod config;
pub mod preset;
pub mod rqtransformer;
pub mod rqvae;

pub use config::{Config, ModelConfig};
pub use rqtransformer::{RqTransformer, RqTransformerConfig};
pub use rqvae::{RqVae, RqVaeConfig};
