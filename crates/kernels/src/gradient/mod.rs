//! Operations with hand-written gradients, for training. Burn's autodiff records each of them as a single
//! operation.

mod conv2d;
mod cpu;
mod gpu;
mod group_norm;
mod step;
pub mod transformer;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_flex::Flex;

use super::Resample;
use super::cube::GpuKernels;
use super::flex::CpuKernels;

/// The operations, on the compute backends and on the autodiff backend.
#[backend_extension(Flex, Cube, Autodiff)]
pub trait Differentiable: Backend {
    /// [`super::conv2d::conv2d`]: NCHW by `[out, in, k, k]`.
    fn residua_recorded_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// [`super::group_norm::group_norm`] over NCHW.
    fn residua_recorded_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FloatTensor<Self>;
}

/// Gradients of these operations, from the gradient `dy` of the result.
pub trait Gradients: Differentiable {
    /// Gradient of the input `x` of a convolution.
    fn conv2d_input(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// Gradient of the weight of a convolution.
    fn conv2d_weight(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// Gradient of the bias of a convolution.
    fn conv2d_bias(dy: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of `x`, `gamma` and `beta` of a group norm.
    fn group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        norm: Norm,
    ) -> [FloatTensor<Self>; 3];
}

/// Settings of a group norm; see [`super::group_norm::group_norm`].
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

impl<B: Gradients, C: CheckpointStrategy> Differentiable for Autodiff<B, C> {
    fn residua_recorded_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self> {
        conv2d::recorded::<B, C>(x, weight, bias, resample)
    }

    fn residua_recorded_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FloatTensor<Self> {
        group_norm::recorded::<B, C>(x, gamma, beta, Norm { groups, epsilon, silu })
    }
}

/// On a compute backend, the operations are its kernels.
macro_rules! computes {
    ($backend:ty, $kernels:ident) => {
        impl Differentiable for $backend {
            fn residua_recorded_conv2d(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                resample: Resample,
            ) -> FloatTensor<Self> {
                <Self as $kernels>::residua_conv2d(x, weight, bias, resample)
            }

            fn residua_recorded_group_norm(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                groups: usize,
                epsilon: f32,
                silu: bool,
            ) -> FloatTensor<Self> {
                <Self as $kernels>::residua_group_norm(x, gamma, beta, groups, epsilon, silu)
            }
        }
    };
}

computes!(Flex, CpuKernels);
computes!(CubeBackend, GpuKernels);

/// [`super::conv2d::conv2d`] with gradients.
pub fn conv2d(x: Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, resample: Resample) -> Tensor<4> {
    let (weight, bias) = (weight.clone().into_dispatch(), bias.clone().into_dispatch());
    let y = <Dispatch as Differentiable>::residua_recorded_conv2d(x.into_dispatch(), weight, bias, resample);
    Tensor::from_dispatch(y)
}

/// [`super::group_norm::group_norm`] with gradients.
pub fn group_norm(x: Tensor<4>, gamma: &Tensor<1>, beta: &Tensor<1>, norm: Norm) -> Tensor<4> {
    let (gamma, beta) = (gamma.clone().into_dispatch(), beta.clone().into_dispatch());
    let Norm { groups, epsilon, silu } = norm;
    let x = x.into_dispatch();
    let y = <Dispatch as Differentiable>::residua_recorded_group_norm(x, gamma, beta, groups, epsilon, silu);
    Tensor::from_dispatch(y)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod transformer_tests;
