//! The blocks of the encoder and decoder: convolution, norm, residual block, attention.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::Loader;
use residua_core::config::rqvae::{DdConfig, GROUPS};
use residua_kernels::Resample;
use residua_kernels::conv2d::conv2d;
use residua_kernels::dropout::Dropout;
use residua_kernels::group_norm::group_norm;
use residua_kernels::matmul::matmul;

/// Epsilon of every group norm in the published models.
const EPSILON: f32 = 1e-6;

/// A convolution with its bias.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
}

impl Conv {
    /// `kernel` is 1 or 3.
    pub fn load(loader: &mut Loader, path: &str, channels: [usize; 2], kernel: usize) -> Self {
        let [from, to] = channels;
        Self {
            weight: loader.tensor(&format!("{path}.weight"), [to, from, kernel, kernel]),
            bias: loader.tensor(&format!("{path}.bias"), [to]),
        }
    }

    /// `[B, from, H, W]` to `[B, to, H', W']`.
    pub fn forward(&self, x: Tensor<4>, resample: Resample) -> Tensor<4> {
        conv2d(x, &self.weight, &self.bias, resample)
    }
}

/// Group norm with gains and shifts.
#[derive(Debug)]
pub struct Norm {
    gamma: Tensor<1>,
    beta: Tensor<1>,
}

impl Norm {
    /// Loads a norm over `channels` channels.
    pub fn load(loader: &mut Loader, path: &str, channels: usize) -> Self {
        Self {
            gamma: loader.tensor(&format!("{path}.weight"), [channels]),
            beta: loader.tensor(&format!("{path}.bias"), [channels]),
        }
    }

    /// Keeps the shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        group_norm(x, &self.gamma, &self.beta, GROUPS, EPSILON, false)
    }

    /// Like [`Self::forward`], followed by SiLU.
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        group_norm(x, &self.gamma, &self.beta, GROUPS, EPSILON, true)
    }
}

/// Two convolutions with norms, and a skip connection, through a 1x1 convolution if the channels change.
#[derive(Debug)]
pub struct ResidualBlock {
    norms: [Norm; 2],
    convs: [Conv; 2],
    shortcut: Option<Conv>,
    /// Dropout on the second convolution's input.
    dropout: Dropout,
}

impl ResidualBlock {
    /// Loads a block from `channels[0]` to `channels[1]` channels, with probability `dropout` in training.
    pub fn load(loader: &mut Loader, path: &str, channels: [usize; 2], dropout: f64) -> Self {
        let [from, to] = channels;
        Self {
            dropout: loader.dropout(dropout),
            norms: [
                Norm::load(loader, &format!("{path}.norm1"), from),
                Norm::load(loader, &format!("{path}.norm2"), to),
            ],
            convs: [
                Conv::load(loader, &format!("{path}.conv1"), [from, to], 3),
                Conv::load(loader, &format!("{path}.conv2"), [to, to], 3),
            ],
            shortcut: (from != to)
                .then(|| Conv::load(loader, &format!("{path}.nin_shortcut"), [from, to], 1)),
        }
    }

    /// `[B, from, H, W]` to `[B, to, H, W]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.convs[0].forward(self.norms[0].forward_silu(x.clone()), Resample::Same);
        let y = self.dropout.apply(self.norms[1].forward_silu(y));
        let y = self.convs[1].forward(y, Resample::Same);
        match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, Resample::Same) + y,
            None => x + y,
        }
    }
}

/// Single-head attention over all cells.
#[derive(Debug)]
pub struct AttentionBlock {
    norm: Norm,
    query: Conv,
    key: Conv,
    value: Conv,
    out: Conv,
}

impl AttentionBlock {
    /// Loads attention over `channels` channels.
    pub fn load(loader: &mut Loader, path: &str, channels: usize) -> Self {
        let mut conv = |name: &str| Conv::load(loader, &format!("{path}.{name}"), [channels; 2], 1);
        let (query, key, value, out) = (conv("q"), conv("k"), conv("v"), conv("proj_out"));
        Self { norm: Norm::load(loader, &format!("{path}.norm"), channels), query, key, value, out }
    }

    /// `[B, C, H, W]` to the same shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let normed = self.norm.forward(x.clone());
        let cells = |conv: &Conv| conv.forward(normed.clone(), Resample::Same).reshape([b, c, h * w]);
        let (queries, keys, values) = (cells(&self.query), cells(&self.key), cells(&self.value));
        let scores = matmul(queries.swap_dims(1, 2), keys) * (c as f32).powf(-0.5);
        let y = matmul(values, softmax(scores, 2).swap_dims(1, 2));
        x + self.out.forward(y.reshape([b, c, h, w]), Resample::Same)
    }
}

/// Residual block, attention, residual block: the middle of the encoder and of the decoder.
#[derive(Debug)]
pub struct Middle {
    blocks: [ResidualBlock; 2],
    attention: AttentionBlock,
}

impl Middle {
    /// Loads blocks of `channels` channels with this `dropout`.
    pub fn load(loader: &mut Loader, path: &str, channels: usize, dropout: f64) -> Self {
        let mut block =
            |i: u8| ResidualBlock::load(loader, &format!("{path}.block_{i}"), [channels; 2], dropout);
        let blocks = [block(1), block(2)];
        Self { blocks, attention: AttentionBlock::load(loader, &format!("{path}.attn_1"), channels) }
    }

    /// `[B, C, H, W]` to the same shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks[1].forward(self.attention.forward(self.blocks[0].forward(x)))
    }
}

/// The residual blocks of one level, each followed by attention at resolutions that have it.
#[derive(Debug)]
pub struct Level {
    blocks: Vec<(ResidualBlock, Option<AttentionBlock>)>,
    /// The convolution of the resampling after the level; `None` if resampling has no convolution.
    pub resampling: Option<Conv>,
}

impl Level {
    /// Loads the blocks of `config`, plus `extra`, from `channels[0]` to `channels[1]` channels; `resampling`
    /// names the convolution after the level.
    pub fn load(
        loader: &mut Loader,
        path: &str,
        config: &DdConfig,
        extra: usize,
        channels: [usize; 2],
        attends: bool,
        resampling: Option<&str>,
    ) -> Self {
        let [from, to] = channels;
        let blocks = (0..config.num_res_blocks + extra)
            .map(|i| {
                let from = if i == 0 { from } else { to };
                let path_of = format!("{path}.block.{i}");
                let block = ResidualBlock::load(loader, &path_of, [from, to], config.dropout);
                (block, attends.then(|| AttentionBlock::load(loader, &format!("{path}.attn.{i}"), to)))
            })
            .collect();
        let resampling =
            resampling.map(|name| Conv::load(loader, &format!("{path}.{name}.conv"), [to, to], 3));
        Self { blocks, resampling }
    }

    /// `[B, from, H, W]` to `[B, to, H, W]`, before resampling.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(x, |x, (block, attention)| {
            let x = block.forward(x);
            match attention {
                Some(attention) => attention.forward(x),
                None => x,
            }
        })
    }
}
