//! The common part of CLIP's two encoders: pre-norm transformer blocks, and the projection of their output.

use burn::tensor::Tensor;

use super::names::{BlockNames, Names, TowerNames};
use super::variant::Variant;
use residua_core::error::Result;
use residua_kernels::Activation;
use residua_kernels::matmul::matmul;
use residua_model::Loader;
use residua_model::rqtransformer::layers::{LayerNorm, Linear};
use residua_weights::WeightFile;

/// Multi-head attention over the positions of `[B, T, 3 C]`, with this many heads.
type Attend = fn(Tensor<3>, usize) -> Tensor<3>;

/// A transformer block: attention, then an MLP.
#[derive(Debug)]
struct Block {
    norms: [LayerNorm; 2],
    /// Queries, keys and values in one product.
    qkv: Linear,
    out: Linear,
    mlp: [Linear; 2],
    heads: usize,
    activation: Activation,
}

impl Block {
    /// Loads the block whose tensor names start with `path`.
    fn load(loader: &mut Loader, path: &str, sizes: Sizes, names: &BlockNames) -> Self {
        let Sizes { width, hidden, heads, activation, .. } = sizes;
        let [norm1, norm2] =
            names.norms.map(|name| LayerNorm::load(loader, &format!("{path}.{name}"), width));
        let full = |name: &&str| format!("{path}.{name}");
        let weights: Vec<String> = names.qkv_weights.iter().map(full).collect();
        let rows = 3 * width / weights.len();
        let weights = loader.linear_weights(&weights, [rows, width]);
        let biases = names.qkv_biases.iter().map(|name| loader.tensor(&full(name), [rows])).collect();
        let mut linear = |name: &str, shape| Linear::load(loader, &format!("{path}.{name}"), shape, true);
        Self {
            norms: [norm1, norm2],
            qkv: Linear::new(weights, Tensor::cat(biases, 0)),
            out: linear(names.out, [width, width]),
            mlp: [linear(names.mlp[0], [hidden, width]), linear(names.mlp[1], [width, hidden])],
            heads,
            activation,
        }
    }

    /// Runs the block on `x` `[B T, C]` of `batch` sequences; the shape stays the same.
    fn forward(&self, x: Tensor<2>, batch: usize, attend: Attend) -> Tensor<2> {
        let [rows, width] = x.dims();
        let qkv = self.qkv.forward_normed(x.clone(), &self.norms[0], Activation::None);
        let y = attend(qkv.reshape([batch, rows / batch, 3 * width]), self.heads);
        let x = x + self.out.forward(y.reshape([rows, width]));
        let hidden = self.mlp[0].forward_normed(x.clone(), &self.norms[1], self.activation);
        x + self.mlp[1].forward(hidden)
    }
}

/// One encoder: positions, blocks, norm and projection.
#[derive(Debug)]
pub(super) struct Tower {
    /// `[positions, width]`.
    positions: Tensor<2>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// `[width, embedding]`.
    projection: Tensor<2>,
}

/// The sizes of an encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    /// Number of positions.
    pub positions: usize,
    /// Channels per position.
    pub width: usize,
    /// Channels of the embedding.
    pub embedding: usize,
    /// Number of blocks.
    layers: usize,
    /// Hidden channels of the MLPs.
    hidden: usize,
    /// Number of attention heads.
    heads: usize,
    /// Activation of the MLPs.
    activation: Activation,
}

impl Sizes {
    /// Reads the sizes from the shapes of the tensors; `variant` gives the heads and the activation of
    /// encoder `which`.
    ///
    /// # Errors
    /// A tensor is missing.
    pub fn of(
        file: &WeightFile,
        tower: &TowerNames,
        names: &Names,
        (variant, which): (Variant, usize),
    ) -> Result<Self> {
        let [positions, width] = file.shape(tower.positions)?;
        let mut projection: [usize; 2] = file.shape(tower.projection)?;
        if names.projections_are_layers {
            projection.reverse();
        }
        let layers = file.count(tower.blocks, &format!(".{}.weight", names.block.norms[0]));
        let [hidden, _] = file.shape(&format!("{}0.{}.weight", tower.blocks, names.block.mlp[0]))?;
        let Variant { activation, heads } = variant;
        Ok(Self {
            positions,
            width,
            embedding: projection[1],
            layers,
            hidden,
            heads: heads[which],
            activation,
        })
    }
}

impl Tower {
    /// Loads everything from the blocks on, and the positions.
    pub fn load(loader: &mut Loader, sizes: Sizes, tower: &TowerNames, names: &Names) -> Self {
        let Sizes { positions, width, embedding, layers, .. } = sizes;
        let path = |layer: usize| format!("{}{layer}", tower.blocks);
        Self {
            positions: loader.tensor(tower.positions, [positions, width]),
            blocks: (0..layers).map(|i| Block::load(loader, &path(i), sizes, &names.block)).collect(),
            norm: LayerNorm::load(loader, tower.norm, width),
            projection: if names.projections_are_layers {
                loader.tensor(tower.projection, [embedding, width]).transpose()
            } else {
                loader.tensor(tower.projection, [width, embedding])
            },
        }
    }

    /// Adds the first `T` position embeddings to `x` `[B, T, C]`.
    pub fn placed(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, width] = x.dims();
        x + self.positions.clone().slice([0..length, 0..width]).unsqueeze()
    }

    /// The embedding `[B, E]`: the projected output of the blocks at position `at` of `x` `[B, T, C]`.
    pub fn embed(&self, x: Tensor<3>, at: usize, attend: Attend) -> Tensor<2> {
        let [batch, length, width] = x.dims();
        let x = x.reshape([batch * length, width]);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, batch, attend));
        let said = x.reshape([batch, length, width]).slice([0..batch, at..at + 1, 0..width]);
        matmul(self.norm.forward(said.reshape([batch, width])), self.projection.clone())
    }
}
