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
//! The feature `models` covers everything that computes, and `studio` the window; both are defaults. A page has each in
//! a program of its own. Programs that only use the models leave the window out.

#[cfg(feature = "studio")]
#[doc(hidden)]
pub mod app;
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
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
