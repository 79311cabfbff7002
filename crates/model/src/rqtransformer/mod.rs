//! RQ-Transformer (paper section 3.2): a body over the cells of a stack and a head over the codes of a cell.
//! The contextual variant (Draft-and-Revise, arXiv 2206.04452) differs only in its body, which sees all cells
//! at once, some of them masked.

mod classifier;
mod context;
mod decoding;
mod embedding;
pub mod layers;
mod stack;

pub use context::Masked;
pub use decoding::{CellDecoding, Decoding};
pub use residua_core::config::rqtransformer::{
    Block, ConditionKind, Gelu, RqTransformerConfig, Stack as StackConfig,
};

use burn::tensor::{Device, Int, Tensor};

use classifier::Classifier;
use embedding::CodeEmbedding;
use stack::Stack;

use crate::Loader;
use residua_core::config::architecture::Architecture;
use residua_core::error::Result;
use residua_kernels::attention::Reach;
use residua_kernels::dropout::Dropout;
use residua_kernels::embed::Reading;
use residua_kernels::quantize::Codebooks;

/// The model of code stacks.
#[derive(Debug)]
pub struct RqTransformer {
    /// The configuration it was built from.
    pub config: RqTransformerConfig,
    /// Embeddings of the condition's tokens; the null token's comes last, if there is one.
    cond_emb: Tensor<2>,
    pos_emb_cond: Tensor<3>,
    pos_emb_hw: Tensor<3>,
    pos_emb_d: Tensor<3>,
    /// Replaces the codes of a masked cell, `[1, 1, width]`; contextual models only.
    mask_emb: Option<Tensor<3>>,
    input: CodeEmbedding,
    context: CodeEmbedding,
    body: Stack,
    head: Stack,
    classifier: Classifier,
    cond_classifier: Option<Classifier>,
    /// Dropout on the body's inputs.
    dropout: Dropout,
    device: Device,
}

/// Logits of a teacher-forced pass.
pub struct Logits {
    /// Logits of the codes, `[B, h w D, V]`.
    pub codes: Tensor<3>,
    /// Logits of the caption's tokens after the first, `[B, length - 1, V_c]`; text models only.
    pub condition: Option<Tensor<3>>,
}

impl RqTransformer {
    /// Takes all tensors from `loader`, whose [`finish`](Loader::finish) reports whether they fit.
    /// `codebooks` are stage 1's, needed if the configuration embeds codes with them.
    pub fn load(
        loader: &mut Loader,
        config: &RqTransformerConfig,
        codebooks: Option<&Codebooks>,
    ) -> Result<Self> {
        let width = config.embed_dim;
        let own = if config.input_emb_vqvae && config.head_emb_vqvae {
            None
        } else {
            loader.ignore("tok_emb.offsets");
            Some(loader.tensor("tok_emb.weight", [CodeEmbedding::own_rows(config)?, width]))
        };
        let mut embedding = |path: &str, by_codebook: bool| match &own {
            Some(table) if !by_codebook => CodeEmbedding::own(table.clone(), config),
            _ => CodeEmbedding::codebooks(loader, path, config, codebooks),
        };
        let input = embedding("input_mlp", config.input_emb_vqvae)?;
        let context = embedding("head_mlp", config.head_emb_vqvae)?;
        let (classes, path) = (config.codebook_size()?, "classifier");
        let contextual = config.kind == Architecture::Contextual;
        let reach = if contextual { Reach::All } else { Reach::Before };
        Ok(Self {
            cond_emb: condition_table(loader, config),
            pos_emb_cond: loader.tensor("pos_emb_cond", [1, config.block_size_cond, width]),
            pos_emb_hw: loader.tensor("pos_emb_hw", [1, config.cells(), width]),
            pos_emb_d: loader.tensor("pos_emb_d", [1, config.depth(), width]),
            mask_emb: contextual.then(|| loader.tensor("mask_emb", [1, 1, width])),
            input,
            context,
            body: Stack::load(loader, "body_transformer", width, &config.body, reach),
            head: Stack::load(loader, "head_transformer", width, &config.head, Reach::Before),
            classifier: if config.shared_cls_emb {
                Classifier::shared(loader, path, width, classes)
            } else {
                Classifier::per_depth(loader, path, width, &config.codebook_sizes()?)
            },
            cond_classifier: (config.condition() == ConditionKind::Text && !contextual)
                .then(|| Classifier::shared(loader, "cond_classifier", width, config.vocab_size_cond)),
            dropout: loader.dropout(config.embd_pdrop),
            config: config.clone(),
            device: loader.device().clone(),
        })
    }

    /// The device it computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Logits of every code given all earlier ones, for code stacks `[B, h, w, D]` and conditions
    /// `[B, length]` (zeros `[B, 1]` for an unconditional model; [`RqTransformerConfig::null_condition`] to
    /// drop the condition).
    ///
    /// # Panics
    /// The model is contextual: see [`Self::masked_logits`].
    pub fn logits(&self, codes: Tensor<4, Int>, condition: Tensor<2, Int>) -> Logits {
        assert_eq!(
            self.config.kind,
            Architecture::Autoregressive,
            "a contextual body would see the codes to predict"
        );
        let [batch, h, w, depth] = codes.dims();
        let (cells, width) = (h * w, self.config.embed_dim);
        let length = condition.dims()[1];
        let codes = codes.reshape([batch * cells, depth]);

        let condition = self.embed_condition(condition);
        let inputs = self.embed_cells(codes.clone().reshape([batch, cells, depth]), 0);
        let shifted = inputs.slice([0..batch, 0..cells - 1, 0..width]);
        let inputs = self.dropout.apply(Tensor::cat(vec![condition, shifted], 1));
        let body = self.body.forward(inputs, None);

        let cell_outputs = body.clone().slice([0..batch, length - 1..length - 1 + cells, 0..width]);
        let logits = self.head_logits(cell_outputs.reshape([batch * cells, width]), codes);
        let classes = logits.dims()[2];
        Logits {
            codes: logits.reshape([batch, cells * depth, classes]),
            condition: self.cond_classifier.as_ref().map(|classifier| {
                let x = body.slice([0..batch, 0..length - 1, 0..width]);
                let logits = classifier.forward(x.reshape([batch * (length - 1), width]), 0);
                let classes = logits.dims()[1];
                logits.reshape([batch, length - 1, classes])
            }),
        }
    }

    /// Logits `[N, D, V]` of the codes `[N, D]` of cells, each given the codes above it, from the body's
    /// outputs `[N, width]`.
    fn head_logits(&self, body: Tensor<2>, codes: Tensor<2, Int>) -> Tensor<3> {
        let ([rows, depth], width) = (codes.dims(), self.config.embed_dim);
        let head = self.head.forward(self.depth_inputs(body, codes), None);
        let per_depth = (0..depth).map(|d| {
            let x = head.clone().slice([0..rows, d..d + 1, 0..width]).reshape([rows, width]);
            self.classifier.forward(x, d).unsqueeze_dim::<3>(1)
        });
        Tensor::cat(per_depth.collect(), 1)
    }

    /// Embeds condition tokens `[B, length]` as inputs of the body, `[B, length, width]`.
    fn embed_condition(&self, condition: Tensor<2, Int>) -> Tensor<3> {
        let [batch, length] = condition.dims();
        let width = self.config.embed_dim;
        let tokens = self.cond_emb.clone().select(0, condition.reshape([batch * length]));
        let positions = self.pos_emb_cond.clone().slice([0..1, 0..length, 0..width]);
        tokens.reshape([batch, length, width]) + positions
    }

    /// Inputs of the head, `[N, D, width]`, from the body's outputs `[N, width]` and the codes `[N, D]` of
    /// their cells.
    fn depth_inputs(&self, body: Tensor<2>, codes: Tensor<2, Int>) -> Tensor<3> {
        let above = codes.dims()[1] - 1;
        let reading = if self.config.sums_depth_context() { Reading::RunningSums } else { Reading::Each };
        let mut inputs = vec![body.unsqueeze_dim(1)];
        if above > 0 {
            inputs.push(self.context.contexts(codes, above, reading));
        }
        Tensor::cat(inputs, 1) + self.pos_emb_d.clone()
    }

    /// The position embedding of the first depth, `[width]`.
    fn position_of_first_depth(&self) -> Tensor<1> {
        let width = self.config.embed_dim;
        self.pos_emb_d.clone().slice([0..1, 0..1, 0..width]).reshape([width])
    }
}

/// Embeddings of the condition's tokens, `[tokens, width]`.
fn condition_table(loader: &mut Loader, config: &RqTransformerConfig) -> Tensor<2> {
    let width = config.embed_dim;
    let tokens = loader.tensor("cond_emb.weight", [config.vocab_size_cond, width]);
    match config.null_token() {
        Some(_) => Tensor::cat(vec![tokens, loader.tensor("null_emb", [1, width])], 0),
        None => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::config::preset::Preset;

    /// The published names give the parameter count of each transformer.
    #[test]
    fn presets_have_the_published_number_of_parameters() {
        let published = [
            ("ffhq-355m", 355.0),
            ("church-370m", 370.0),
            ("cat-612m", 612.0),
            ("imagenet-480m", 480.0),
            ("imagenet-821m", 821.0),
            ("imagenet-1.4b", 1388.0),
            ("imagenet-3.8b", 3822.0),
            ("cc3m-654m", 654.0),
            ("text-3.9b", 3902.0),
        ];
        for (name, millions) in published {
            let config = Preset::find(name).and_then(Preset::rqtransformer).expect(name);
            let mut loader = Loader::plan(&residua_kernels::device::cpu());
            RqTransformer::load(&mut loader, &config, None).expect(name);
            let parameters = loader.finish().expect("a plan has no file");
            let count: usize = parameters.iter().map(|p| p.shape.iter().product::<usize>()).sum();
            let found = count as f64 / 1e6;
            assert!((found / millions - 1.0).abs() < 0.006, "{name}: {found:.1}M");
        }
    }
}
