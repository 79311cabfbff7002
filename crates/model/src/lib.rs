//! The two models, RQ-VAE (stage 1) and RQ-Transformer (stage 2), with all options of the published ones, and the
//! checkpoints that they are loaded from.

pub mod checkpoint;
pub mod generate;
pub mod loader;
pub mod rqtransformer;
pub mod rqvae;
pub mod tensors;

pub use checkpoint::{Checkpoint, Stage};
pub use loader::{Loader, Parameter};
pub use rqtransformer::RqTransformer;
pub use rqvae::RqVae;
