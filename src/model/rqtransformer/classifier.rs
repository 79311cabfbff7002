//! From the head's output to logits: a layer norm, then one linear layer for all depths or one for each.

use burn::tensor::Tensor;

use super::layers::{LayerNorm, Linear};
use crate::checkpoint::Loader;

/// The logits of codes or of text tokens.
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

    /// One for each of `depth` depths; stored as one tensor `[D, width, classes]`.
    pub fn per_depth(loader: &mut Loader, path: &str, width: usize, classes: usize, depth: usize) -> Self {
        let norm = LayerNorm::load(loader, &format!("{path}.layer_norm"), width);
        let weights = loader.tensor(&format!("{path}.linear.weight"), [depth, width, classes]);
        let biases = loader.tensor(&format!("{path}.linear.bias"), [depth, classes]);
        let of = |d: usize| {
            let weight = weights.clone().slice([d..d + 1, 0..width, 0..classes]).reshape([width, classes]);
            let bias = biases.clone().slice([d..d + 1, 0..classes]).reshape([classes]);
            // Made contiguous once, so that no step transposes it again.
            let rows = weight.transpose().reshape([classes * width]).reshape([classes, width]);
            Linear::new(rows, bias)
        };
        let linear = if loader.is_whole() { (0..depth).map(of).collect() } else { Vec::new() };
        Self { norm, linear }
    }

    /// `[rows, width]` to `[rows, classes]` at `depth`.
    pub fn forward(&self, x: Tensor<2>, depth: usize) -> Tensor<2> {
        self.linear[depth.min(self.linear.len() - 1)].forward(self.norm.forward(x))
    }
}
