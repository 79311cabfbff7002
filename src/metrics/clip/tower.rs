//! What CLIP's two encoders share: pre-norm transformer blocks, and the projection of what they say.

use burn::tensor::Tensor;

use super::names::{self, Names};
use crate::checkpoint::{Loader, WeightFile};
use crate::error::{Error, Result};
use crate::kernels::Activation;
use crate::kernels::matmul::matmul;
use crate::model::rqtransformer::layers::{LayerNorm, Linear};

/// Channels of a head in every published CLIP.
const HEAD: usize = 64;

/// Attention over the positions of `[B, T, 3 C]` by a number of heads.
type Attend = fn(Tensor<3>, usize) -> Tensor<3>;

/// Attention, then an MLP of four times the width.
#[derive(Debug)]
struct Block {
    norms: [LayerNorm; 2],
    /// Queries, keys and values in one product.
    qkv: Linear,
    out: Linear,
    mlp: [Linear; 2],
}

impl Block {
    /// The block whose tensors' names begin with `path`.
    fn load(loader: &mut Loader, path: &str, width: usize, names: &names::Block) -> Self {
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
            mlp: [linear(names.mlp[0], [4 * width, width]), linear(names.mlp[1], [width, 4 * width])],
        }
    }

    /// `x` `[B T, C]` of `batch` sequences; the shape stays.
    fn forward(&self, x: Tensor<2>, batch: usize, attend: Attend) -> Tensor<2> {
        let [rows, width] = x.dims();
        let qkv = self.qkv.forward(self.norms[0].forward(x.clone()));
        let y = attend(qkv.reshape([batch, rows / batch, 3 * width]), width / HEAD);
        let x = x + self.out.forward(y.reshape([rows, width]));
        let hidden = self.mlp[0].forward_activated(self.norms[1].forward(x.clone()), Activation::QuickGelu);
        x + self.mlp[1].forward(hidden)
    }
}

/// Positions, blocks, norm and projection of one encoder.
#[derive(Debug)]
pub(super) struct Tower {
    /// `[positions, width]`.
    positions: Tensor<2>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// `[width, embedding]`.
    projection: Tensor<2>,
}

/// An encoder's sizes, as its file has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    /// Positions of a sequence.
    pub positions: usize,
    /// Channels of a position.
    pub width: usize,
    /// Channels of an embedding.
    pub embedding: usize,
    /// Blocks.
    layers: usize,
}

impl Sizes {
    /// Reads them from the shapes of the tensors of `names`.
    ///
    /// # Errors
    /// A tensor is missing, or the width is no multiple of a head's.
    pub fn of(file: &WeightFile, tower: &names::Tower, names: &Names) -> Result<Self> {
        let [positions, width] = file.shape(tower.positions)?;
        let mut projection: [usize; 2] = file.shape(tower.projection)?;
        if names.projections_are_layers {
            projection.reverse();
        }
        if !width.is_multiple_of(HEAD) {
            return Err(Error::invalid(format!(
                "{}: expected a CLIP whose widths are multiples of {HEAD}, found {width} in {}",
                file.name(),
                tower.positions
            )));
        }
        let layers = file.count(tower.blocks, &format!(".{}.weight", names.block.norms[0]));
        Ok(Self { positions, width, embedding: projection[1], layers })
    }
}

impl Tower {
    /// Loads all but what comes before the blocks.
    pub fn load(loader: &mut Loader, sizes: Sizes, tower: &names::Tower, names: &Names) -> Self {
        let Sizes { positions, width, embedding, layers } = sizes;
        let path = |layer: usize| format!("{}{layer}", tower.blocks);
        Self {
            positions: loader.tensor(tower.positions, [positions, width]),
            blocks: (0..layers).map(|i| Block::load(loader, &path(i), width, &names.block)).collect(),
            norm: LayerNorm::load(loader, tower.norm, width),
            projection: match names.projections_are_layers {
                true => loader.tensor(tower.projection, [embedding, width]).transpose(),
                false => loader.tensor(tower.projection, [width, embedding]),
            },
        }
    }

    /// `x` `[B, T, C]` with its positions added, for the first `T` of which there are.
    pub fn placed(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, width] = x.dims();
        x + self.positions.clone().slice([0..length, 0..width]).unsqueeze()
    }

    /// The embedding `[B, E]` of what the blocks say at position `at` of `x` `[B, T, C]`.
    pub fn embed(&self, x: Tensor<3>, at: usize, attend: Attend) -> Tensor<2> {
        let [batch, length, width] = x.dims();
        let x = x.reshape([batch * length, width]);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, batch, attend));
        let said = x.reshape([batch, length, width]).slice([0..batch, at..at + 1, 0..width]);
        matmul(self.norm.forward(said.reshape([batch, width])), self.projection.clone())
    }
}
