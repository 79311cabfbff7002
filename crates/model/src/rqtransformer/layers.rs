//! Linear layers and layer norms over `[B, T, C]`.

use burn::tensor::Tensor;

use crate::Loader;
use residua_kernels::dropout::Dropout;
use residua_kernels::layer_norm::layer_norm;
use residua_kernels::linear::{linear, linear_onto, normed_linear};
use residua_kernels::{Activation, Weights};

/// Epsilon of every layer norm in the published models.
const EPSILON: f32 = 1e-5;

/// A linear layer, or several with the same input, computed together. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`.
    weights: Weights,
    /// `[out]`; zeros for a layer without bias.
    bias: Tensor<1>,
}

impl Linear {
    /// Loads the layer at `path`; `shape` is `[out, in]`.
    pub fn load(loader: &mut Loader, path: &str, shape: [usize; 2], bias: bool) -> Self {
        Self::load_joined(loader, &[path.to_string()], shape, bias)
    }

    /// Loads the layers at `paths`, each with `shape` `[out, in]`; their outputs are concatenated.
    pub fn load_joined(loader: &mut Loader, paths: &[String], shape: [usize; 2], bias: bool) -> Self {
        let names: Vec<String> = paths.iter().map(|path| format!("{path}.weight")).collect();
        let weights = loader.linear_weights(&names, shape);
        let bias = if bias {
            let parts = paths.iter().map(|path| loader.tensor(&format!("{path}.bias"), [shape[0]]));
            Tensor::cat(parts.collect(), 0)
        } else {
            Tensor::zeros([shape[0] * paths.len()], loader.device())
        };
        Self { weights, bias }
    }

    /// A layer with existing weights `[out, in]` and bias `[out]`.
    pub fn new(weights: Weights, bias: Tensor<1>) -> Self {
        Self { weights, bias }
    }

    /// The bias, `[out]`.
    pub fn bias(&self) -> Tensor<1> {
        self.bias.clone()
    }

    /// The same layer with another bias, `[out]`.
    pub fn with_bias(&self, bias: Tensor<1>) -> Self {
        Self { weights: self.weights.clone(), bias }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, &self.weights, &self.bias, Activation::None)
    }

    /// Like [`Self::forward`] after `norm`, followed by `activation`.
    pub fn forward_normed(&self, x: Tensor<2>, norm: &LayerNorm, activation: Activation) -> Tensor<2> {
        normed_linear(x, [&norm.gamma, &norm.beta], EPSILON, &self.weights, &self.bias, activation)
    }

    /// Like [`Self::forward`], with `dropout` applied and added to `residual` `[rows, out]`.
    pub fn forward_onto(&self, x: Tensor<2>, residual: Tensor<2>, dropout: &Dropout) -> Tensor<2> {
        if dropout.is_off() {
            linear_onto(x, &self.weights, &self.bias, residual)
        } else {
            dropout.apply(self.forward(x)) + residual
        }
    }
}

/// Layer norm over the last dimension.
#[derive(Debug)]
pub struct LayerNorm {
    gamma: Tensor<1>,
    beta: Tensor<1>,
}

impl LayerNorm {
    /// Loads a norm over `channels` channels.
    pub fn load(loader: &mut Loader, path: &str, channels: usize) -> Self {
        Self {
            gamma: loader.tensor(&format!("{path}.weight"), [channels]),
            beta: loader.tensor(&format!("{path}.bias"), [channels]),
        }
    }

    /// `[rows, C]` to the same shape.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        layer_norm(x, &self.gamma, &self.beta, EPSILON)
    }
}
