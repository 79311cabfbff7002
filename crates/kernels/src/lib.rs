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
pub mod present;
pub mod quantize;
pub mod sample_token;
pub mod verdicts;
pub mod weights;

mod arrived;
mod cube;
mod flex;

pub use arrived::arrived;
pub use attention::KvCache;
pub use cpu::conv2d::Resample;
pub use cpu::linear::Activation;
pub use residua_core::trust::{self, GpuKernel, Variant};
pub use weights::Weights;

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use crate::device::{differentiates, is_cpu};

/// Whether the CPU kernels handle tensors on `device`. If gradients are needed, only operations with their
/// own gradients have kernels.
fn has_cpu_kernels(device: &Device) -> bool {
    is_cpu(device) && !differentiates(device)
}

/// Whether `variant` of a kernel handles tensors on `device`, which is a GPU or needs gradients.
pub fn has_gpu_kernel(variant: impl Into<Variant>, device: &Device) -> bool {
    !differentiates(device) && is_right(variant.into(), device)
}

/// Whether a kernel handles tensors on `device`, which is a GPU or needs gradients: with the first of
/// `variants`, or in a browser with the second in its place. A browser has nothing else for a convolution or a
/// matrix product: Burn's own would be nearly half of its download.
fn has_large_kernel([best, spare]: [Variant; 2], device: &Device) -> bool {
    let is_right = has_gpu_kernel(best, device);
    if cfg!(target_family = "wasm") && !is_right {
        verdicts::settle(spare, device);
    }
    is_right || cfg!(target_family = "wasm")
}

/// Whether `variant` is on. Each variant is checked when it is first used, so that opening a window does not wait
/// and unused variants cost nothing. A browser can't wait here and checks it before its result is read.
fn is_right(variant: Variant, device: &Device) -> bool {
    verdicts::settle(variant, device);
    variant.is_on()
}

/// Whether kernels with hand-written gradients handle tensors on `device`. On a GPU their forward pass is
/// `variant`.
#[cfg(not(target_family = "wasm"))]
fn has_gradient(variant: impl Into<Variant>, device: &Device) -> bool {
    differentiates(device) && (is_cpu(device) || is_right(variant.into(), &device.clone().without_autodiff()))
}

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
