//! Residua: a portable studio for residual-quantized image generation, the two-stage system of "Autoregressive Image
//! Generation using Residual Quantization" (arXiv 2203.01941).
//!
//! The crates below `crates/` hold everything that any user interface needs; this package is the interfaces: the
//! command line, the studio, and the two programs of the web page.
//!
//! For other programs, it re-exports [`residua_engine::api`]:
//!
//! ```no_run
//! use residua::{Error, Model, image};
//!
//! let model = Model::load("characters-128")?;
//! let cat = image::open("cat.png").expect("an image").to_rgb8();
//! println!("{:.2} dB", model.reconstruct(&cat)?.psnr);
//! # Ok::<(), Error>(())
//! ```
//!
//! The feature `models` covers everything that computes. Without it, only the parts remain that a window
//! needs when its models run elsewhere, such as a page with a worker.

pub mod app;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(any(unix, windows))]
mod signals;

#[cfg(feature = "models")]
pub use residua_engine::api::*;

/// The Rust examples of the documentation, which compile as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/src/api.md")]
struct Documentation;
