//! Operations with hand-written gradients, for training. Burn's autodiff records each of them as a single
//! operation.

mod conv2d;
mod cpu;
mod gpu;
mod group_norm;
pub mod over_ranks;
mod step;
pub mod transformer;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_flex::Flex;

use super::attention::Reach;
use super::group_norm::Norm;
use super::operations::Kernels;
use super::{Activation, Resample};
use conv2d::Conv2d;
use over_ranks::OverRanks;
use step::recorded;
use transformer::{Activate, Attend, CrossEntropy, LayerNorm};

/// Gradients of the operations that both compute backends train, from the gradient `dy` of the result.
pub trait Gradients: Kernels {
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

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn residua_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 3>(Conv2d(resample), [x, weight, bias])
    }

    fn residua_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 3>(norm, [x, gamma, beta])
    }

    fn residua_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 3>(LayerNorm(epsilon), [x, gamma, beta])
    }

    fn residua_attention(qkv: FloatTensor<Self>, heads: usize, reach: Reach) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 1>(Attend { heads, reach }, [qkv])
    }

    fn residua_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 1>(Activate(activation), [x])
    }

    fn residua_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 2>(CrossEntropy, [logits, target])
    }

    fn residua_sum_over(x: FloatTensor<Self>, ranks: OverRanks) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 1>(ranks, [x])
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<CubeBackend, C> {
    fn residua_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self> {
        recorded::<CubeBackend, C, _, 3>(Conv2d(resample), [x, weight, bias])
    }

    fn residua_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self> {
        recorded::<CubeBackend, C, _, 3>(norm, [x, gamma, beta])
    }

    fn residua_sum_over(x: FloatTensor<Self>, ranks: OverRanks) -> FloatTensor<Self> {
        recorded::<CubeBackend, C, _, 1>(ranks, [x])
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod transformer_tests;
