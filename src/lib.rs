//! Residua: a portable studio for residual-quantized image generation, the two-stage system of "Autoregressive Image
//! Generation using Residual Quantization" (arXiv 2203.01941).
//!
//! The house, from the ground up; each part uses only those before it:
//!
//! * [`device`] chooses where to compute, [`kernels`] holds the operations that take the time, [`trust`] says which of them
//!   a GPU runs.
//! * [`model`] has the two models, [`checkpoint`] reads and writes their weights.
//! * [`generate`] samples stacks, [`metrics`] measures pictures; [`codes`], [`image_io`] and [`tokenizer`] are what goes
//!   in and comes out.
//! * [`engine`] joins them into the things that a person does; [`cli`] is the command line on top of it, [`app`] the
//!   studio.
//!
//! All that computes is the feature `models`. Without it there is what a window needs whose models run elsewhere, such as a
//! page and its worker.

pub mod app;
pub mod assets;
#[cfg(feature = "models")]
pub mod checkpoint;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod codes;
#[cfg(feature = "models")]
pub mod device;
pub mod engine;
pub mod error;
pub mod files;
pub mod generate;
#[cfg(target_family = "wasm")]
pub mod host;
pub mod image_io;
#[cfg(feature = "models")]
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod random;
#[cfg(test)]
mod testing;
pub mod text;
pub mod tokenizer;
#[cfg(all(feature = "models", not(target_family = "wasm")))]
pub mod train;
pub mod trust;

pub use error::{Error, Result};
