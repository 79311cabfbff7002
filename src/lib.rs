//! Residua: a portable studio for residual-quantized image generation, the two-stage system of "Autoregressive Image
//! Generation using Residual Quantization" (arXiv 2203.01941).
//!
//! The crates below `crates/` hold everything that any user interface needs; this package is the interfaces: the
//! command line, the studio, and the two programs of the web page.
//!
//! The feature `models` covers everything that computes. Without it, only the parts remain that a window
//! needs when its models run elsewhere, such as a page with a worker.

pub mod app;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(unix)]
mod signals;
