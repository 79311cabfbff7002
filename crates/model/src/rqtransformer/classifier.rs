//! From the head's output to logits: a layer norm, then one linear layer for all depths or one per depth.

use burn::tensor::{Bool, Tensor, TensorData};

use super::layers::{LayerNorm, Linear};
use crate::Loader;
use residua_kernels::{Activation, Weights};

/// The classifier for codes or for text tokens.
#[derive(Debug)]
pub struct Classifier {
    norm: LayerNorm,
    linear: Vec<Linear>,
}

impl Classifier {
    /// One classifier of `classes` for all depths, at `path`.
    pub fn shared(loader: &mut Loader, path: &str, width: usize, classes: usize) -> Self {
        let norm = LayerNorm::load(loader, &format!("{path}.layer_norm"), width);
        Self { norm, linear: vec![Linear::load(loader, &format!("{path}.linear"), [classes, width], true)] }
    }

    /// One classifier per depth, for `sizes` codes; stored as one tensor `[D, width, classes]` for the
    /// largest.
    pub fn per_depth(loader: &mut Loader, path: &str, width: usize, sizes: &[usize]) -> Self {
        let (depth, classes) = (sizes.len(), sizes.iter().copied().max().unwrap_or(0));
        let norm = LayerNorm::load(loader, &format!("{path}.layer_norm"), width);
        let weights =
            loader.stacked_linear_weights(&format!("{path}.linear.weight"), depth, [classes, width]);
        let biases = loader.tensor(&format!("{path}.linear.bias"), [depth, classes]);
        let device = loader.device().clone();
        let of = |(d, (weights, &size)): (usize, (Weights, &usize))| {
            let bias = biases.clone().slice([d..d + 1, 0..classes]).reshape([classes]);
            // Codes beyond this depth's codebook are never sampled.
            let beyond: Vec<bool> = (0..classes).map(|code| code >= size).collect();
            let beyond = Tensor::<1, Bool>::from_data(TensorData::new(beyond, [classes]), &device);
            Linear::new(weights, bias.mask_fill(beyond, f32::NEG_INFINITY))
        };
        let layers = weights.into_iter().zip(sizes).enumerate();
        let linear = if loader.is_whole() { layers.map(of).collect() } else { Vec::new() };
        Self { norm, linear }
    }

    /// `[rows, width]` to `[rows, classes]` at `depth`.
    pub fn forward(&self, x: Tensor<2>, depth: usize) -> Tensor<2> {
        let linear = &self.linear[depth.min(self.linear.len() - 1)];
        linear.forward_normed(x, &self.norm, Activation::None)
    }
}
