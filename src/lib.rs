//! Residua: a portable studio for residual-quantized image generation, the two-stage system of "Autoregressive Image
//! Generation using Residual Quantization" (arXiv 2203.01941).
//!
//! The modules, from the bottom up; each uses only those before it:
//!
//! * [`device`] chooses where to compute, [`kernels`] holds the expensive operations, [`trust`] decides which
//!   of them run on a GPU.
//! * [`model`] has the two models, [`checkpoint`] reads and writes their weights.
//! * [`generate`] samples code stacks, [`metrics`] measures images; [`codes`], [`image_io`] and [`tokenizer`]
//!   handle input and output.
//! * [`engine`] combines them into the program's tasks; [`cli`] is the command line on top of it, [`app`] the
//!   studio.
//!
//! The feature `models` covers everything that computes. Without it, only the parts remain that a window
//! needs when its models run elsewhere, such as a page with a worker.

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
