//! The operations that dominate the run time, one per file. Each file has the function that models call,
//! which uses the hand-written kernel if the device has one, and a composed version built from Burn's own
//! operations, which serves other devices and is the reference in the kernel's test.

pub mod attention;
pub mod check;
pub mod conv2d;
pub mod cpu;
pub mod device;
pub mod dropout;
pub mod embed;
#[cfg(not(target_family = "wasm"))]
pub mod gradient;
pub mod group_norm;
pub mod layer_norm;
pub mod linear;
pub mod matmul;
pub mod plan;
pub mod present;
pub mod quantize;
pub mod sample_token;
#[cfg(not(target_family = "wasm"))]
pub mod tune;
pub mod tuned;
pub mod verdicts;
pub mod weights;

mod arrived;
mod cube;
mod flex;
mod grain;
mod operations;
mod route;

pub use arrived::arrived;
pub use attention::KvCache;
pub use cpu::conv2d::Resample;
pub use cpu::linear::Activation;
pub use grain::Grain;
pub use residua_core::trust::{self, GpuKernel, Variant};
pub use route::has_gpu_kernel;
pub use weights::Weights;

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

/// A tensor of values in [-1, 1) that depend only on `seed`, for checks and timings.
pub fn noise<const D: usize>(dims: [usize; D], seed: u32, device: &Device) -> Tensor<D> {
    let count = dims.iter().product::<usize>() as u32;
    let values: Vec<f32> =
        (0..count).map(|i| residua_core::random::uniform([seed, i, 1, 0]) * 2.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// [`noise`] in f16, for weights.
pub fn half_noise(dims: [usize; 2], seed: u32, device: &Device) -> Tensor<2> {
    let count = (dims[0] * dims[1]) as u32;
    let value = |i| f16::from_f32(residua_core::random::uniform([seed, i, 1, 0]) * 2.0 - 1.0);
    let values: Vec<f16> = (0..count).map(value).collect();
    Tensor::from_data(TensorData::new(values, dims), (device, DType::F16))
}

/// Reads back the values of a tensor, blocking. For tests and final results, never inside a step.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data: TensorData = tensor.into_data().convert::<f32>();
    data.try_to_vec().expect("converted to f32 just above")
}

/// The GPU of tests.
#[cfg(test)]
fn gpu() -> Device {
    device::open(device::DeviceChoice::Gpu).unwrap()
}
