//! Compares the hand-written transformer operations with the same ones built from Burn's operations.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};

use super::transformer::{activation, cross_entropy_recorded};
use crate::attention;
use crate::{Activation, layer_norm, linear, values};
use residua_testing::{assert_close, tensor};

/// Relative to the largest expected magnitude.
const TOLERANCE: f32 = 1e-5;

/// The result of `operation` and the gradients of its weighted sum.
fn results<const N: usize, const D: usize, const E: usize>(
    operands: &[Tensor<D>; N],
    operation: impl Fn(&[Tensor<D>; N]) -> Tensor<E>,
) -> Vec<Vec<f32>> {
    let operands = operands.clone().map(|operand| operand.autodiff().require_grad());
    let y = operation(&operands);
    let weights = tensor(y.dims(), 4, &Device::flex().autodiff());
    let found = (y.clone() * weights).sum().backward();
    let gradients = operands.iter().map(|operand| values(operand.grad(&found).expect("tracked")));
    std::iter::once(values(y.inner())).chain(gradients).collect()
}

fn compare(found: Vec<Vec<f32>>, expected: Vec<Vec<f32>>) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_close(found, expected, TOLERANCE);
    }
}

#[test]
fn activations() {
    let x = [tensor([37, 450], 1, &Device::flex()) * 6.0];
    for kind in [Activation::Gelu, Activation::QuickGelu] {
        let burns = |x: Tensor<2>| match kind {
            Activation::Gelu => burn::tensor::activation::gelu(x),
            _ => x.clone() * burn::tensor::activation::sigmoid(x * 1.702),
        };
        compare(results(&x, |[x]| activation(x.clone(), kind)), results(&x, |[x]| burns(x.clone())));
    }
}

#[test]
fn layer_norms() {
    for dims in [[1, 48], [130, 33], [70, 192], [3, 5]] {
        let device = Device::flex();
        let all = [
            tensor(dims, 1, &device) * 2.0 - 0.5,
            tensor([1, dims[1]], 2, &device),
            tensor([1, dims[1]], 3, &device),
        ];
        let run = |norm: fn(Tensor<2>, &Tensor<1>, &Tensor<1>, f32) -> Tensor<2>| {
            let flat = |x: &Tensor<2>| x.clone().reshape([dims[1]]);
            results(&all, |[x, gamma, beta]| norm(x.clone(), &flat(gamma), &flat(beta), 1e-5))
        };
        compare(run(layer_norm::layer_norm), run(layer_norm::composed));
    }
}

#[test]
fn attentions() {
    for (batch, heads, head_dim, length) in [(1, 3, 16, 6), (9, 6, 32, 4), (2, 2, 10, 70), (1, 1, 3, 1)] {
        let qkv = [tensor([batch, length, 3 * heads * head_dim], 5, &Device::flex()) * 3.0];
        let causal = results(&qkv, |[qkv]| attention::composed(qkv.clone(), heads, None));
        compare(results(&qkv, |[qkv]| attention::attend(qkv.clone(), heads, None)), causal);
        let all = results(&qkv, |[qkv]| attention::composed_all(qkv.clone(), heads));
        compare(results(&qkv, |[qkv]| attention::attend_all(qkv.clone(), heads)), all);
    }
}

#[test]
fn cross_entropies() {
    for dims in [[1, 1024], [45, 33], [3, 7]] {
        let device = Device::flex();
        let logits = [tensor(dims, 1, &device) * 9.0];
        let target = burn::tensor::activation::softmax(tensor::<2>(dims, 2, &device) * 5.0, 1);
        let found =
            results(&logits, |[logits]| cross_entropy_recorded(logits.clone(), target.clone().autodiff()));
        let burns = |logits: &Tensor<2>| {
            (log_softmax(logits.clone(), 1) * target.clone().autodiff()).sum_dim(1).reshape([dims[0]]).neg()
        };
        compare(found, results(&logits, |[logits]| burns(logits)));
    }
}

/// A code missing from a depth has a logit of minus infinity and a target of 0.
#[test]
fn impossible_codes_cost_nothing() {
    let device = Device::flex();
    let logits = Tensor::<2>::from_floats([[1.0, f32::NEG_INFINITY, 2.0]], &device).autodiff().require_grad();
    let target = Tensor::<2>::from_floats([[0.25, 0.0, 0.75]], &device).autodiff();
    let loss = cross_entropy_recorded(logits.clone(), target);
    let expected = (1.0f32.exp() + 2.0f32.exp()).ln() - 0.25 - 1.5;
    assert_close(&values(loss.clone().inner()), &[expected], 1e-6);
    let gradient = values(logits.grad(&loss.sum().backward()).expect("tracked"));
    assert!(gradient.iter().all(|x| x.is_finite()) && gradient[1].abs() < 1e-30, "{gradient:?}");
}

#[test]
fn a_linear_layer_computes_the_same_in_training() {
    let device = Device::flex();
    let [x, weight, bias] =
        [[9, 33], [17, 33], [1, 17]].map(|dims| tensor::<2>(dims, dims[0] as u32, &device));
    let bias = bias.reshape([17]);
    let used = linear::linear(x.clone(), &weight.clone().into(), &bias, Activation::Gelu);
    let trained = linear::linear(x.autodiff(), &weight.autodiff().into(), &bias.autodiff(), Activation::Gelu);
    assert_close(&values(trained.inner()), &values(used), TOLERANCE);
}
