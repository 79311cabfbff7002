//! Residua: a portable studio for residual-quantized image generation, the two-stage system of "Autoregressive Image
//! Generation using Residual Quantization" (arXiv 2203.01941).
//!
//! The modules, from the bottom up; each uses only those before it (`tests/layers.rs` checks this):
//!
//! * Plain data and files, without Burn: [`error`], [`text`], [`random`], [`files`], [`task`] (progress and
//!   cancellation), [`codes`] (code stacks), [`sampling`] (its rules), [`config`] (the published YAML), [`trust`] (the
//!   verdict on each GPU kernel), [`assets`], [`image_io`], [`tokenizer`] and [`weights`] (weight files).
//! * Computation: [`device`] chooses where to compute, [`kernels`] holds the expensive operations, [`model`] the two
//!   models and their checkpoints, [`generate`] the sessions that sample them, [`metrics`] measures images, [`train`]
//!   trains.
//! * [`engine`] combines them into the program's tasks; [`app`] is the studio on top of it, [`cli`] the command line.
//!
//! The feature `models` covers everything that computes. Without it, only the parts remain that a window
//! needs when its models run elsewhere, such as a page with a worker.

pub mod app;
pub mod assets;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod codes;
pub mod config;
#[cfg(feature = "models")]
pub mod device;
pub mod engine;
pub mod error;
pub mod files;
#[cfg(feature = "models")]
pub mod generate;
#[cfg(target_family = "wasm")]
pub mod host;
pub mod image_io;
#[cfg(feature = "models")]
pub mod kernels;
pub mod metrics;
#[cfg(feature = "models")]
pub mod model;
pub mod random;
pub mod sampling;
pub mod task;
#[cfg(test)]
mod testing;
pub mod text;
pub mod tokenizer;
#[cfg(all(feature = "models", not(target_family = "wasm")))]
pub mod train;
pub mod trust;
pub mod warnings;
#[cfg(feature = "models")]
pub mod weights;

pub use error::{Error, Result};
