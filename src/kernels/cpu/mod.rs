//! The kernels in plain Rust over slices: the fast path of the CPU, and the twins that GPU kernels are held against.

pub mod activation;
pub mod activation_gradient;
pub mod attention;
pub mod attention_gradient;
pub mod conv2d;
pub mod conv2d_gradient;
pub mod conv2d_weights;
pub mod cross_entropy;
pub mod embed_codes;
pub mod group_norm;
pub mod group_norm_gradient;
pub mod layer_norm;
pub mod layer_norm_gradient;
pub mod linear;
pub(crate) mod memory;
#[cfg(test)]
mod noise;
mod product;
pub mod residual_quantize;
pub mod sample_token;
mod tasks;

mod vector;
mod winograd;

pub use vector::vectors;

/// Also for a window without models.
pub use crate::image_io::present;
