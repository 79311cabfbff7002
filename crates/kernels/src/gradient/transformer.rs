//! The parts of a transformer other than matrix products, with hand-written gradients on the CPU. Built from
//! Burn's operations, each would take a dozen passes over memory, forward and backward, on one thread.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Tensor};
use burn_flex::{Flex, FlexTensor};

use super::step::{Step, recorded};
use crate::cpu::activation_gradient::{activate, activation_gradient};
use crate::cpu::attention::{KvCache, Reach, attention};
use crate::cpu::attention_gradient::attention_gradient;
use crate::cpu::cross_entropy::{cross_entropy, cross_entropy_gradient};
use crate::cpu::layer_norm::layer_norm;
use crate::cpu::layer_norm_gradient::layer_norm_gradient;
use crate::cpu::linear::Activation;
use crate::device::{differentiates, is_cpu};
use crate::flex::{Contiguous, tensor};

/// The operations, on the CPU backend and on its autodiff backend.
#[backend_extension(Flex, Autodiff)]
pub trait TransformerSteps: Backend {
    /// An activation, for any shape.
    fn residua_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// [`super::super::layer_norm::layer_norm`]: `[rows, C]`.
    fn residua_recorded_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// [`super::super::attention`] over whole sequences: `[B, T, 3 C]` to `[B, T, C]`. `reach` is what each
    /// position attends to.
    fn residua_recorded_attention(qkv: FloatTensor<Self>, heads: usize, reach: Reach) -> FloatTensor<Self>;

    /// [`cross_entropy`] of `[rows, K]` logits and targets: `[rows]`. The target gets no gradient.
    fn residua_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Whether these operations handle tensors on `device`.
pub fn has_transformer_steps(device: &Device) -> bool {
    differentiates(device) && is_cpu(device)
}

#[derive(Clone, Debug)]
struct Activate(Activation);

impl Step<Flex, 1> for Activate {
    fn forward(&self, [x]: [FlexTensor; 1]) -> FlexTensor {
        let x = Contiguous::new(x);
        tensor(activate(x.values(), self.0), &x.dims)
    }

    fn backward(&self, operands: [FlexTensor; 1], dy: FlexTensor) -> [Option<FlexTensor>; 1] {
        let ([x], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        [Some(tensor(activation_gradient(x.values(), dy.values(), self.0), &x.dims))]
    }
}

#[derive(Clone, Debug)]
struct LayerNorm(f32);

impl Step<Flex, 3> for LayerNorm {
    fn forward(&self, operands: [FlexTensor; 3]) -> FlexTensor {
        let [x, gamma, beta] = operands.map(Contiguous::new);
        tensor(layer_norm(x.values(), gamma.values(), beta.values(), self.0), &x.dims)
    }

    fn backward(&self, operands: [FlexTensor; 3], dy: FlexTensor) -> [Option<FlexTensor>; 3] {
        let ([x, gamma, beta], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        let found = layer_norm_gradient(x.values(), gamma.values(), dy.values(), self.0);
        [(found.x, x), (found.gamma, gamma), (found.beta, beta)]
            .map(|(gradient, operand)| Some(tensor(gradient, &operand.dims)))
    }
}

#[derive(Clone, Debug)]
struct Attend {
    heads: usize,
    reach: Reach,
}

impl Attend {
    /// Sequences, positions, heads and channels per head.
    fn sizes(&self, qkv: &Contiguous) -> [usize; 4] {
        [qkv.dims[0], qkv.dims[1], self.heads, qkv.dims[2] / 3 / self.heads]
    }
}

impl Step<Flex, 1> for Attend {
    fn forward(&self, operands: [FlexTensor; 1]) -> FlexTensor {
        let [qkv] = operands.map(Contiguous::new);
        let [batch, positions, heads, head_dim] = self.sizes(&qkv);
        let mut passing = KvCache::new(batch, heads, head_dim, positions);
        let y = attention(qkv.values(), &mut passing, 0, self.reach);
        tensor(y, &[batch, positions, heads * head_dim])
    }

    fn backward(&self, operands: [FlexTensor; 1], dy: FlexTensor) -> [Option<FlexTensor>; 1] {
        let ([qkv], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        let [_, sizes @ ..] = self.sizes(&qkv);
        [Some(tensor(attention_gradient(qkv.values(), dy.values(), sizes, self.reach), &qkv.dims))]
    }
}

#[derive(Clone, Debug)]
struct CrossEntropy;

impl Step<Flex, 2> for CrossEntropy {
    fn forward(&self, operands: [FlexTensor; 2]) -> FlexTensor {
        let [logits, target] = operands.map(Contiguous::new);
        tensor(cross_entropy(logits.values(), target.values(), logits.dims[1]), &logits.dims[..1])
    }

    fn backward(&self, operands: [FlexTensor; 2], dy: FlexTensor) -> [Option<FlexTensor>; 2] {
        let ([logits, target], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        let gradient = cross_entropy_gradient(logits.values(), target.values(), dy.values());
        [Some(tensor(gradient, &logits.dims)), None]
    }
}

impl TransformerSteps for Flex {
    fn residua_activation(x: FlexTensor, activation: Activation) -> FlexTensor {
        Activate(activation).forward([x])
    }

    fn residua_recorded_layer_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
    ) -> FlexTensor {
        LayerNorm(epsilon).forward([x, gamma, beta])
    }

    fn residua_recorded_attention(qkv: FlexTensor, heads: usize, reach: Reach) -> FlexTensor {
        Attend { heads, reach }.forward([qkv])
    }

    fn residua_cross_entropy(logits: FlexTensor, target: FlexTensor) -> FlexTensor {
        CrossEntropy.forward([logits, target])
    }
}

impl<C: CheckpointStrategy> TransformerSteps for Autodiff<Flex, C> {
    fn residua_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 1>(Activate(activation), [x])
    }

    fn residua_recorded_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 3>(LayerNorm(epsilon), [x, gamma, beta])
    }

    fn residua_recorded_attention(qkv: FloatTensor<Self>, heads: usize, reach: Reach) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 1>(Attend { heads, reach }, [qkv])
    }

    fn residua_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        recorded::<Flex, C, _, 2>(CrossEntropy, [logits, target])
    }
}

/// `activation(x)`.
pub fn activation<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::residua_activation(x.into_dispatch(), activation))
}

/// Layer norm of `x` `[rows, C]`.
pub fn layer_norm_recorded(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    let [gamma, beta] = [gamma, beta].map(|operand| operand.clone().into_dispatch());
    Tensor::from_dispatch(Dispatch::residua_recorded_layer_norm(x.into_dispatch(), gamma, beta, epsilon))
}

/// Attention over `qkv` `[B, T, 3 C]`: `[B, T, C]`. `reach` is what each position attends to.
pub fn attend_recorded(qkv: Tensor<3>, heads: usize, reach: Reach) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::residua_recorded_attention(qkv.into_dispatch(), heads, reach))
}

/// Cross entropy of each row of `logits` and `target`, both `[rows, K]`: `[rows]`.
pub fn cross_entropy_recorded(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::residua_cross_entropy(logits.into_dispatch(), target.into_dispatch()))
}
