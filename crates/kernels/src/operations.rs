//! The operations that have hand-written kernels. [`flex`](super::flex) implements them for CPUs,
//! [`cube`](super::cube) for GPUs, and `gradient` for training.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::Tensor;

use super::attention::{Reach, StoredCache};
use super::embed::{Lookup, StoredTable};
#[cfg(not(target_family = "wasm"))]
use super::gradient::over_ranks::OverRanks;
use super::group_norm::Norm;
use super::sample_token::Draw;
use super::weights::StoredWeights;
use super::{Activation, Resample};

/// Operations with a hand-written kernel. Shapes are as in the functions of [`super::cpu`]. A backend without the
/// kernel keeps the default, which [`route`](super::route::route) never chooses.
#[cfg_attr(target_family = "wasm", backend_extension(Flex, Cube))]
#[cfg_attr(not(target_family = "wasm"), backend_extension(Flex, Cube, Autodiff))]
pub trait Kernels: Backend {
    /// [`super::cpu::conv2d::conv2d`]: NCHW by `[out, in, k, k]`.
    fn residua_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::group_norm::group_norm`] over NCHW.
    fn residua_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::layer_norm::layer_norm`] over `[rows, C]`.
    fn residua_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        absent((x, gamma, beta, epsilon))
    }

    /// [`super::cpu::linear::linear`]: `[rows, in]` by `[out, in]`. May reuse the buffer of the residual
    /// `[rows, out]` for the result.
    fn residua_linear(
        x: FloatTensor<Self>,
        #[extension_type] weights: StoredWeights<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
        #[extension_type] residual: Addend<Self>,
    ) -> FloatTensor<Self> {
        absent((x, weights, bias, activation, residual))
    }

    /// [`Self::residua_linear`] without a residual, of `x` after [`Self::residua_layer_norm`].
    fn residua_normed_linear(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        #[extension_type] weights: StoredWeights<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        absent((x, gamma, beta, epsilon, weights, bias, activation))
    }

    /// `[.., M, K]` by `[.., K, N]`, with equal batch dimensions.
    fn residua_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(a, b)
    }

    /// Converts weights `[out, in]` from f16 or 8 bits to f32.
    fn residua_widen(#[extension_type] weights: StoredWeights<Self>) -> FloatTensor<Self> {
        absent(weights)
    }

    /// [`super::cpu::attention::attention`] over whole sequences: `[B, T, 3 C]` to `[B, T, C]`.
    fn residua_attention(qkv: FloatTensor<Self>, heads: usize, reach: Reach) -> FloatTensor<Self> {
        absent((qkv, heads, reach))
    }

    /// Causal [`super::cpu::attention::attention`]: `[B, T, 3 C]` to `[B, T, C]`. The first of the `T` positions
    /// is `position` in the cache, which is written in place.
    fn residua_cached_attention(
        qkv: FloatTensor<Self>,
        #[extension_type] cache: StoredCache<Self>,
        position: usize,
    ) -> FloatTensor<Self> {
        absent((qkv, cache, position))
    }

    /// `codes` `[B, columns]` with those of [`super::cpu::sample_token::sample_token`] from logits `[B, V]` in
    /// `column`. May reuse the buffer of `codes`.
    fn residua_sample_token(
        logits: FloatTensor<Self>,
        codes: IntTensor<Self>,
        column: usize,
        draw: Draw,
    ) -> IntTensor<Self> {
        absent((logits, codes, column, draw))
    }

    /// [`super::cpu::cross_entropy::softmax`]: `[rows, K]` to the same shape.
    fn residua_softmax(x: FloatTensor<Self>, factor: f32) -> FloatTensor<Self> {
        absent((x, factor))
    }

    /// [`super::cpu::residual_quantize::residual_quantize`]: maps `[N, C]` to codes `[N, D]`, partial sums
    /// `[D, N, C]` and squared residual norms `[N, D]`. `norms` `[1, rows]` are the squared norms of the rows of
    /// the table.
    fn residua_residual_quantize(
        latents: FloatTensor<Self>,
        #[extension_type] table: StoredTable<Self>,
        norms: FloatTensor<Self>,
    ) -> (IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        absent((latents, table, norms))
    }

    /// [`super::cpu::embed_codes::embed_codes`]: looks up codes `[N, columns]`; the result is `[N, outputs, C]`.
    /// `onto` is `[n, C]`, used cyclically.
    fn residua_embed_codes(
        codes: IntTensor<Self>,
        #[extension_type] table: StoredTable<Self>,
        lookup: Lookup,
        #[extension_type] onto: Addend<Self>,
    ) -> FloatTensor<Self> {
        absent((codes, table, lookup, onto))
    }

    /// An activation of any shape, in training.
    #[cfg(not(target_family = "wasm"))]
    fn residua_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        absent((x, activation))
    }

    /// [`super::cpu::cross_entropy::cross_entropy`] of `[rows, K]` logits and targets, in training: `[rows]`. The
    /// target gets no gradient.
    #[cfg(not(target_family = "wasm"))]
    fn residua_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        absent((logits, target))
    }

    /// The sum of a tensor of any shape over ranks, in training.
    #[cfg(not(target_family = "wasm"))]
    fn residua_sum_over(x: FloatTensor<Self>, ranks: OverRanks) -> FloatTensor<Self> {
        ranks.sum::<Self>(x)
    }
}

fn absent<Operands, Y>(_: Operands) -> Y {
    unreachable!("no operation is routed to a backend without its kernel")
}

/// What is added to a result. An operation of Burn can't take an `Option`.
#[derive(ExtensionType)]
pub enum Addend<B: Backend> {
    /// Nothing.
    Nothing,
    /// These values.
    Values(FloatTensor<B>),
}

impl<B: Backend> Addend<B> {
    /// The values, if any.
    pub fn values(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Nothing => None,
            Self::Values(values) => Some(values),
        }
    }
}

impl<const D: usize> From<Option<Tensor<D>>> for Addend<Dispatch> {
    fn from(values: Option<Tensor<D>>) -> Self {
        values.map_or(Self::Nothing, |values| Self::Values(values.into_dispatch()))
    }
}
