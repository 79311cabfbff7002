//! Configuration of an RQ-Transformer: the published keys of `arch`, and the keys it needs from other
//! sections.

use serde::{Deserialize, Serialize};

use crate::config::architecture::Architecture;
use crate::config::{Dataset, DefaultSampling, PerDepth, Unread, WORDS, dropout, within};
use crate::error::{Error, Result};
use crate::sampling::{Filter, Forced, Schedule};

/// Section `arch` of a stage 2 configuration, with the other sections that the model needs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RqTransformerConfig {
    /// How the model reads the cells.
    #[serde(rename = "type")]
    pub kind: Architecture,
    /// `[h, w, D]` of the code stack.
    pub block_size: [usize; 3],
    /// Width of both transformers.
    pub embed_dim: usize,
    /// Length of a code's embedding in stage 1's codebook.
    #[serde(default)]
    pub input_embed_dim: Option<usize>,
    /// Whether all depths share one token embedding (if stage 1's codebook is not the embedding).
    #[serde(default)]
    pub shared_tok_emb: bool,
    /// Whether all depths share one classifier.
    #[serde(default)]
    pub shared_cls_emb: bool,
    /// Whether the body embeds codes with stage 1's codebook.
    #[serde(default)]
    pub input_emb_vqvae: bool,
    /// Whether the head embeds codes with stage 1's codebook.
    #[serde(default)]
    pub head_emb_vqvae: bool,
    /// Whether the head sees the sum of all codes above rather than only the last one; needs stage 1's
    /// codebook.
    #[serde(default)]
    pub cumsum_depth_ctx: bool,
    /// Number of classes, or of text tokens; 0 or 1 (read as 1): unconditional.
    #[serde(default = "one", deserialize_with = "at_least_one")]
    pub vocab_size_cond: usize,
    /// Tokens of the condition: 1 (or 0, read as 1) for a class, the context length for text.
    #[serde(default = "one", deserialize_with = "at_least_one")]
    pub block_size_cond: usize,
    /// Codebook size, if `arch` gives it rather than `dataset`.
    #[serde(default)]
    pub vocab_size: Option<PerDepth<usize>>,
    /// The transformer over cells.
    pub body: Stack,
    /// The transformer over depths.
    pub head: Stack,
    /// Section `dataset`.
    #[serde(skip)]
    pub dataset: Dataset,
    /// Default sampling settings, from section `sampling` or `experiment.sample`.
    #[serde(skip)]
    pub sampling: DefaultSampling,
    /// `vqvae.ckpt`: stage 1, relative to the folder of this configuration.
    #[serde(skip)]
    pub stage1: Option<String>,
    /// SHA-256 of that stage 1's weights, if known.
    #[serde(skip)]
    pub stage1_sha256: Option<String>,
    /// Names of the classes, if the checkpoint has them.
    #[serde(skip)]
    pub classes: Vec<String>,
    #[serde(default, rename = "ar_hierarchy", skip_serializing)]
    _ar_hierarchy: Unread,
    #[serde(default, rename = "use_padding_emb", skip_serializing)]
    _use_padding_emb: Unread,
    #[serde(default, rename = "scaled_head_emb_vqvae", skip_serializing)]
    _scaled_head_emb_vqvae: Unread,
    /// Dropout on the body's inputs in training.
    #[serde(default, skip_serializing)]
    pub embd_pdrop: f64,
    /// Probability that training drops the condition: our own key. Above 0, the model has a null condition
    /// too, and guidance is available. (Classifier-free guidance: Ho, Salimans, arXiv 2207.12598, algorithm
    /// 1.)
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cond_dropout: f64,
    #[serde(default, rename = "ema", skip_serializing)]
    _ema: Unread,
    #[serde(default, rename = "checkpointing", skip_serializing)]
    _checkpointing: Unread,
}

/// A stack of transformer blocks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Stack {
    /// Number of blocks; 0 is allowed for the head.
    pub n_layer: usize,
    /// The configuration of each block.
    #[serde(default)]
    pub block: Block,
}

/// One transformer block.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Block {
    /// Attention heads.
    pub n_head: usize,
    /// The MLP's activation.
    #[serde(default)]
    pub gelu: Gelu,
    /// Whether all four attention projections have a bias.
    #[serde(default = "yes")]
    pub attn_bias: bool,
    /// Whether both MLP layers have a bias.
    #[serde(default = "yes")]
    pub mlp_bias: bool,
    /// Dropout on attention weights in training.
    #[serde(default, skip_serializing)]
    pub attn_pdrop: f64,
    /// Dropout on the outputs of attention and MLP in training; the published default is 0.1.
    #[serde(default = "default_resid_pdrop", skip_serializing)]
    pub resid_pdrop: f64,
    /// A published key that is never used: `resid_pdrop` is the MLP's dropout.
    #[serde(default, rename = "mlp_pdrop", skip_serializing)]
    _mlp_pdrop: Unread,
    #[serde(default, rename = "embed_dim", skip_serializing)]
    _embed_dim: Unread,
}

/// The published variants of GELU.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Gelu {
    /// The exact GELU.
    #[default]
    V1,
    /// `x * sigmoid(1.702 x)`.
    V2,
}

/// The kind of condition that images are generated from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConditionKind {
    /// None.
    Unconditional,
    /// One of several classes.
    Class,
    /// A caption.
    Text,
}

fn yes() -> bool {
    true
}
fn one() -> usize {
    1
}
fn default_resid_pdrop() -> f64 {
    0.1
}
fn is_zero(rate: &f64) -> bool {
    *rate == 0.0
}
fn at_least_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    Ok(usize::deserialize(deserializer)?.max(1))
}

impl Default for Block {
    fn default() -> Self {
        Self {
            n_head: 8,
            gelu: Gelu::V1,
            attn_bias: true,
            mlp_bias: true,
            attn_pdrop: 0.0,
            resid_pdrop: default_resid_pdrop(),
            _mlp_pdrop: Unread::Null,
            _embed_dim: Unread::Null,
        }
    }
}

impl RqTransformerConfig {
    /// Cells of a stack, `h * w`.
    pub fn cells(&self) -> usize {
        self.block_size[0] * self.block_size[1]
    }

    /// A contextual model's schedule for the cells that `forced` leaves free. Revisions use the filters
    /// `revise`, or else those that go with the filters `draft`. `None` for an autoregressive model.
    pub fn schedule(
        &self,
        draft: &[Filter],
        revise: Option<&[Filter]>,
        forced: Option<&Forced>,
    ) -> Option<Schedule> {
        let free = forced.map_or(self.cells(), |forced| forced.free().len());
        let filters = revise.map_or_else(|| self.sampling.of_revisions(draft), <[Filter]>::to_vec);
        (self.kind == Architecture::Contextual).then(|| Schedule::usual(&filters, free, self.cells()))
    }

    /// Codes in one cell, `D`.
    pub fn depth(&self) -> usize {
        self.block_size[2]
    }

    /// Codebook sizes, one per depth.
    pub fn codebook_sizes(&self) -> Result<Vec<usize>> {
        self.vocab_size
            .as_ref()
            .or(self.dataset.vocab_size.as_ref())
            .ok_or_else(|| Error::invalid("expected dataset.vocab_size, the codebook's size; found none"))?
            .values("vocab_size", self.depth())
    }

    /// Number of classes of the classifier, the same at every depth: the largest codebook size.
    pub fn codebook_size(&self) -> Result<usize> {
        let sizes = self.codebook_sizes()?;
        Ok(sizes.into_iter().max().unwrap_or(0))
    }

    /// Whether the head sees the sum of the codes above: the published models sum only stage 1's embeddings.
    pub fn sums_depth_context(&self) -> bool {
        self.cumsum_depth_ctx && self.head_emb_vqvae
    }

    /// The kind of condition that images are generated from.
    pub fn condition(&self) -> ConditionKind {
        match (self.vocab_size_cond, self.block_size_cond) {
            (_, 2..) => ConditionKind::Text,
            (2.., _) => ConditionKind::Class,
            _ => ConditionKind::Unconditional,
        }
    }

    /// The names that folders of pictures may have, as classes; none if they are unknown, or if the model takes no class.
    pub fn class_folders(&self) -> &[String] {
        match self.condition() {
            ConditionKind::Class => &self.classes,
            ConditionKind::Unconditional | ConditionKind::Text => &[],
        }
    }

    /// The token at every position of the null condition, one after the last real token; `None` if training
    /// never drops the condition.
    pub fn null_token(&self) -> Option<u32> {
        (self.cond_dropout > 0.0).then_some(self.vocab_size_cond as u32)
    }

    /// The tokens of the null condition, if the model has one.
    pub fn null_condition(&self) -> Option<Vec<u32>> {
        self.null_token().map(|token| vec![token; self.block_size_cond])
    }

    /// Rejects configurations that cannot be built, before anything of their size is allocated.
    pub fn check(&self) -> Result<()> {
        let limits = [
            ("block_size's height", self.block_size[0], 1024),
            ("block_size's width", self.block_size[1], 1024),
            ("block_size's depth", self.block_size[2], 64),
            ("embed_dim", self.embed_dim, 16384),
            ("vocab_size_cond", self.vocab_size_cond, 1 << 20),
            ("block_size_cond", self.block_size_cond, 4096),
            ("body.n_layer", self.body.n_layer, 512),
            ("head.n_layer + 1", self.head.n_layer.saturating_add(1), 512),
        ];
        for (key, value, most) in limits {
            within(key, value, most)?;
        }
        within("cells", self.cells(), 1 << 16)?;
        for size in self.codebook_sizes()? {
            within("vocab_size", size, 1 << 20)?;
        }
        for (key, stack) in [("body", &self.body), ("head", &self.head)] {
            let heads = stack.block.n_head;
            if heads == 0 || !self.embed_dim.is_multiple_of(heads) {
                return Err(Error::invalid(format!(
                    "{key}.block.n_head: expected to divide embed_dim {}, found {heads}",
                    self.embed_dim
                )));
            }
        }
        let sizes = self.codebook_sizes()?;
        if self.shared_cls_emb && sizes.iter().any(|&size| size != sizes[0]) {
            return Err(Error::invalid(format!(
                "shared_cls_emb: one classifier for all depths needs codebooks of the same size, found {sizes:?}: set it to \
                 false"
            )));
        }
        self.check_dropout()?;
        self.check_words()?;
        self.check_embedding()
    }

    fn check_words(&self) -> Result<()> {
        let takes_words = self.dataset.txt_tok_name.as_deref() == Some(WORDS);
        let (tokens, most) = (self.dataset.words.len() + 1, self.vocab_size_cond);
        if takes_words && !(2..=most).contains(&tokens) {
            return Err(Error::invalid(format!(
                "dataset.words: expected 1 to {} words, since vocab_size_cond counts them and the padding, found {}",
                most.saturating_sub(1),
                tokens - 1
            )));
        }
        Ok(())
    }

    /// The probabilities with which training leaves something out, by key.
    pub fn dropout_rates(&self) -> [(&'static str, f64); 7] {
        let (body, head) = (&self.body.block, &self.head.block);
        [
            ("embd_pdrop", self.embd_pdrop),
            ("cond_dropout", self.cond_dropout),
            ("body.block.attn_pdrop", body.attn_pdrop),
            ("body.block.resid_pdrop", body.resid_pdrop),
            ("head.block.attn_pdrop", head.attn_pdrop),
            ("head.block.resid_pdrop", head.resid_pdrop),
            ("dataset.bpe_dropout", self.dataset.bpe_dropout.unwrap_or(0.0)),
        ]
    }

    fn check_dropout(&self) -> Result<()> {
        if self.cond_dropout > 0.0 && self.condition() == ConditionKind::Unconditional {
            return Err(Error::invalid(
                "cond_dropout: expected 0, since an unconditional model has no condition to drop",
            ));
        }
        self.dropout_rates().into_iter().try_for_each(|(key, rate)| dropout(key, rate))
    }

    fn check_embedding(&self) -> Result<()> {
        match self.input_embed_dim {
            Some(dim) => within("input_embed_dim", dim, 1 << 20),
            None if self.input_emb_vqvae || self.head_emb_vqvae => Err(Error::invalid(
                "expected input_embed_dim, the length of stage 1's embeddings; found none",
            )),
            None => Ok(()),
        }
    }
}
