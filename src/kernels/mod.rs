//! The operations that take the time. Each file holds one: the function that models call, which takes the
//! hand-written kernel where the device has one, and the same thing composed of Burn's own operations,
//! which serves the other devices and stands as the kernel's twin in its test.

pub mod attention;
pub mod conv2d;
pub mod cpu;
pub mod group_norm;
pub mod layer_norm;
pub mod linear;
pub mod quantize;
pub mod sample_token;
pub mod weights;

mod cube;
mod flex;

pub use attention::KvCache;
pub use cpu::conv2d::Resample;
pub use cpu::linear::Activation;
pub use weights::Weights;

use burn::tensor::{Device, Tensor, TensorData};

use crate::device::is_cpu;

/// Whether tensors on `device` are taken by the CPU kernels.
fn has_cpu_kernels(device: &Device) -> bool {
    is_cpu(device)
}

/// The values of a tensor, read back at once: for tests and for results, never inside a step.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data: TensorData = tensor.into_data().convert::<f32>();
    data.try_to_vec().expect("converted to f32 just above")
}
