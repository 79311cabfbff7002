//! Kernels in plain Rust over slices: the fast path on the CPU, and the reference for the GPU kernels.

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
pub mod memory;
#[cfg(test)]
mod noise;
mod product;
pub mod residual_quantize;
pub mod sample_token;
mod tasks;

mod vector;
mod winograd;

pub use vector::vectors;

/// Lives in `image_io` because a window without models uses it too.
pub use residua_io::image_io::present;
