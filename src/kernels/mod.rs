//! The operations that take the time. Each file holds one: the function that models call, which takes the
//! hand-written kernel where the device has one, and the same thing composed of Burn's own operations,
//! which serves the other devices and stands as the kernel's twin in its test.

pub mod attention;
pub mod check;
pub mod conv2d;
pub mod cpu;
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
#[cfg(not(target_family = "wasm"))]
pub mod verdicts;
pub mod weights;

mod cube;
mod flex;

pub use crate::trust::{self, GpuKernel, Variant};
pub use attention::KvCache;
pub use cpu::conv2d::Resample;
pub use cpu::linear::Activation;
pub use weights::Weights;

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use crate::device::{differentiates, is_cpu};

/// Whether tensors on `device` are taken by the CPU kernels. Where gradients are wanted, no kernels take them but operations
/// that have some.
fn has_cpu_kernels(device: &Device) -> bool {
    is_cpu(device) && !differentiates(device)
}

/// Whether tensors on `device`, which is no CPU or wants gradients, are taken by `variant` of a kernel.
pub(crate) fn has_gpu_kernel(variant: impl Into<Variant>, device: &Device) -> bool {
    !differentiates(device) && is_right(variant.into(), device)
}

/// Whether `variant` is on, after a check at its first use: opening a window waits for none, and what is never used costs
/// nothing. A browser can't wait here, and checks all of them before it begins.
fn is_right(variant: Variant, device: &Device) -> bool {
    #[cfg(not(target_family = "wasm"))]
    verdicts::settle(variant, device);
    #[cfg(target_family = "wasm")]
    let _ = device;
    variant.is_on()
}

/// Whether tensors on `device` are taken by kernels with gradients of their own, which on a GPU begin with `variant`.
#[cfg(not(target_family = "wasm"))]
fn has_gradient(variant: impl Into<Variant>, device: &Device) -> bool {
    differentiates(device) && (is_cpu(device) || is_right(variant.into(), &device.clone().without_autodiff()))
}

/// A tensor of values in [-1, 1) that depend on `seed` alone: for checks and timings.
pub fn noise<const D: usize>(dims: [usize; D], seed: u32, device: &Device) -> Tensor<D> {
    let count = dims.iter().product::<usize>() as u32;
    let values: Vec<f32> = (0..count).map(|i| crate::random::uniform([seed, i, 1, 0]) * 2.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// [`noise`] in f16, for weights.
pub fn half_noise(dims: [usize; 2], seed: u32, device: &Device) -> Tensor<2> {
    let count = (dims[0] * dims[1]) as u32;
    let value = |i| f16::from_f32(crate::random::uniform([seed, i, 1, 0]) * 2.0 - 1.0);
    let values: Vec<f16> = (0..count).map(value).collect();
    Tensor::from_data(TensorData::new(values, dims), (device, DType::F16))
}

/// The values of a tensor, read back at once: for tests and for results, never inside a step.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data: TensorData = tensor.into_data().convert::<f32>();
    data.try_to_vec().expect("converted to f32 just above")
}
