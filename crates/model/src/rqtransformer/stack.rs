//! A stack of pre-norm transformer blocks: the body over cells, the head over depths.

use burn::tensor::{Device, Tensor};

use super::layers::{LayerNorm, Linear};
use crate::Loader;
use residua_core::config::rqtransformer as config;
use residua_core::config::rqtransformer::Gelu;
use residua_kernels::attention::{Reach, attend, attend_all, attend_dropping};
use residua_kernels::dropout::Dropout;
use residua_kernels::{Activation, KvCache};

/// One block: attention, then an MLP of four times the width.
#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    norm2: LayerNorm,
    /// Queries, keys and values in one product.
    qkv: Linear,
    proj: Linear,
    mlp: [Linear; 2],
    heads: usize,
    reach: Reach,
    activation: Activation,
    /// Dropout on attention weights.
    attention_dropout: Dropout,
    /// Dropout on the outputs of attention and MLP.
    dropouts: [Dropout; 2],
}

impl Block {
    fn load(loader: &mut Loader, path: &str, width: usize, config: &config::Block, reach: Reach) -> Self {
        let qkv = ["query", "key", "value"].map(|name| format!("{path}.attn.{name}"));
        Self {
            norm1: LayerNorm::load(loader, &format!("{path}.ln1"), width),
            norm2: LayerNorm::load(loader, &format!("{path}.ln2"), width),
            qkv: Linear::load_joined(loader, &qkv, [width, width], config.attn_bias),
            proj: Linear::load(loader, &format!("{path}.attn.proj"), [width, width], config.attn_bias),
            mlp: [
                Linear::load(loader, &format!("{path}.mlp.0"), [4 * width, width], config.mlp_bias),
                Linear::load(loader, &format!("{path}.mlp.2"), [width, 4 * width], config.mlp_bias),
            ],
            heads: config.n_head,
            reach,
            activation: activation(config.gelu),
            attention_dropout: loader.dropout(config.attn_pdrop),
            dropouts: [config.resid_pdrop; 2].map(|rate| loader.dropout(rate)),
        }
    }

    /// `x` `[B T, C]` of `batch` sequences to the same shape.
    /// `last` is the block's own last layer or one that takes its place.
    fn forward(&self, x: Tensor<2>, batch: usize, cache: Option<&mut KvCache>, last: &Linear) -> Tensor<2> {
        let [rows, width] = x.dims();
        let qkv = self.qkv.forward_normed(x.clone(), &self.norm1, Activation::None);
        let qkv = qkv.reshape([batch, rows / batch, 3 * width]);
        let y = match (self.attention_dropout.is_off(), self.reach) {
            (true, Reach::Before) => attend(qkv, self.heads, cache),
            (true, Reach::All) => attend_all(qkv, self.heads),
            (false, reach) => attend_dropping(qkv, self.heads, reach, &self.attention_dropout),
        };
        let x = self.proj.forward_onto(y.reshape([rows, width]), x, &self.dropouts[0]);
        let hidden = self.mlp[0].forward_normed(x.clone(), &self.norm2, self.activation);
        last.forward_onto(hidden, x, &self.dropouts[1])
    }
}

/// The matching activation of the kernels.
fn activation(gelu: Gelu) -> Activation {
    match gelu {
        Gelu::V1 => Activation::Gelu,
        Gelu::V2 => Activation::QuickGelu,
    }
}

/// The blocks of one transformer.
#[derive(Debug)]
pub struct Stack {
    blocks: Vec<Block>,
    width: usize,
    heads: usize,
}

/// One cache per block.
#[derive(Debug)]
pub struct StackCache(Vec<KvCache>);

impl StackCache {
    /// Forgets all positions, but keeps the buffers.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(KvCache::clear);
    }
}

impl Stack {
    /// Loads `{path}.blocks.*`, with attention limited by `reach`.
    pub fn load(loader: &mut Loader, path: &str, width: usize, config: &config::Stack, reach: Reach) -> Self {
        let blocks = (0..config.n_layer)
            .map(|i| Block::load(loader, &format!("{path}.blocks.{i}"), width, &config.block, reach))
            .collect();
        // A causal mask in some checkpoints; ours is computed when needed.
        loader.ignore(".attn.mask");
        Self { blocks, width, heads: config.block.n_head }
    }

    /// Caches for `batch` sequences of up to `capacity` positions.
    pub fn cache(&self, batch: usize, capacity: usize, device: &Device) -> StackCache {
        let cache = || KvCache::new(batch, self.heads, capacity, self.width / self.heads, device);
        StackCache(self.blocks.iter().map(|_| cache()).collect())
    }

    /// `x` `[B, T, C]` to the same shape. With a cache, the `T` positions follow the cached ones; this needs
    /// causal attention.
    pub fn forward(&self, x: Tensor<3>, cache: Option<&mut StackCache>) -> Tensor<3> {
        self.through(x, cache, None)
    }

    /// [`Self::forward`] with a cache, and with `last` in place of the last layer.
    pub fn forward_ending(&self, x: Tensor<3>, cache: &mut StackCache, last: &Linear) -> Tensor<3> {
        self.through(x, Some(cache), Some(last))
    }

    /// The last layer, which adds `addend` `[C]` to the outputs too.
    ///
    /// # Panics
    /// There are no blocks.
    pub fn last_plus(&self, addend: Tensor<1>) -> Linear {
        let [.., last] = &self.blocks.last().expect("a stack with blocks").mlp;
        last.with_bias(last.bias() + addend)
    }

    fn through(&self, x: Tensor<3>, mut cache: Option<&mut StackCache>, last: Option<&Linear>) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let mut x = x.reshape([batch * length, width]);
        for (i, block) in self.blocks.iter().enumerate() {
            let own = &block.mlp[1];
            let last = if i + 1 == self.blocks.len() { last.unwrap_or(own) } else { own };
            x = block.forward(x, batch, cache.as_mut().map(|cache| &mut cache.0[i]), last);
        }
        x.reshape([batch, length, width])
    }
}
