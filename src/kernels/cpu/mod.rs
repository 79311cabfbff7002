//! The kernels in plain Rust over slices: the fast path of the CPU, and the twins that GPU kernels are held against.

pub mod activation;
pub mod attention;
pub mod conv2d;
pub mod group_norm;
mod lanes;
mod memory;
mod product;
#[cfg(test)]
mod noise;
pub mod layer_norm;
pub mod linear;
pub mod sample_token;
mod tasks;

mod vector;
mod winograd;
