//! The parts of a transformer other than matrix products, with hand-written gradients on the CPU. Built from
//! Burn's operations, each would take a dozen passes over memory, forward and backward, on one thread.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor};
use burn_flex::{Flex, FlexTensor};

use super::step::Step;
use crate::cpu::activation_gradient::{activate, activation_gradient};
use crate::cpu::attention::Reach;
use crate::cpu::attention_gradient::attention_gradient;
use crate::cpu::cross_entropy::{cross_entropy, cross_entropy_gradient};
use crate::cpu::layer_norm_gradient::layer_norm_gradient;
use crate::cpu::linear::Activation;
use crate::device::{differentiates, is_cpu};
use crate::flex::{Contiguous, tensor};
use crate::operations::Kernels;

/// Whether these operations handle tensors on `device`.
pub fn has_transformer_steps(device: &Device) -> bool {
    differentiates(device) && is_cpu(device)
}

#[derive(Clone, Debug)]
pub(super) struct Activate(pub Activation);

impl Step<Flex, 1> for Activate {
    fn forward(&self, [x]: [FlexTensor; 1]) -> FlexTensor {
        let x = Contiguous::new(x);
        tensor(activate(x.values(), self.0), &x.dims)
    }

    fn backward(&self, operands: [FlexTensor; 1], dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let ([x], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        [Some(tensor(activation_gradient(x.values(), dy.values(), self.0), &x.dims))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct LayerNorm(pub f32);

impl Step<Flex, 3> for LayerNorm {
    fn forward(&self, [x, gamma, beta]: [FlexTensor; 3]) -> FlexTensor {
        Flex::residua_layer_norm(x, gamma, beta, self.0)
    }

    fn backward(&self, operands: [FlexTensor; 3], dy: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let ([x, gamma, beta], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        let found = layer_norm_gradient(x.values(), gamma.values(), dy.values(), self.0);
        [(found.x, x), (found.gamma, gamma), (found.beta, beta)]
            .map(|(gradient, operand)| Some(tensor(gradient, &operand.dims)))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Attend {
    pub heads: usize,
    pub reach: Reach,
}

impl Step<Flex, 1> for Attend {
    fn forward(&self, [qkv]: [FlexTensor; 1]) -> FlexTensor {
        Flex::residua_attention(qkv, self.heads, self.reach)
    }

    fn backward(&self, operands: [FlexTensor; 1], dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let ([qkv], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        let sizes = [qkv.dims[1], self.heads, qkv.dims[2] / 3 / self.heads];
        [Some(tensor(attention_gradient(qkv.values(), dy.values(), sizes, self.reach), &qkv.dims))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct CrossEntropy;

impl Step<Flex, 2> for CrossEntropy {
    fn forward(&self, operands: [FlexTensor; 2]) -> FlexTensor {
        let [logits, target] = operands.map(Contiguous::new);
        tensor(cross_entropy(logits.values(), target.values(), logits.dims[1]), &logits.dims[..1])
    }

    fn backward(&self, operands: [FlexTensor; 2], dy: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let ([logits, target], dy) = (operands.map(Contiguous::new), Contiguous::new(dy));
        let gradient = cross_entropy_gradient(logits.values(), target.values(), dy.values());
        [Some(tensor(gradient, &logits.dims)), None]
    }
}

/// `activation(x)`, for tensors that [`has_transformer_steps`] handles.
pub(crate) fn activation<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::residua_activation(x.into_dispatch(), activation))
}

/// Cross entropy of each row of `logits` and `target`, both `[rows, K]`: `[rows]`.
pub fn cross_entropy_recorded(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::residua_cross_entropy(logits.into_dispatch(), target.into_dispatch()))
}
