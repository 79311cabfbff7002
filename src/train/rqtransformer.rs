//! One step of stage 2: the likelihood of code stacks, with hard targets or soft ones (paper section 3.2.2).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};

use super::parameters::{Gradients, Named, Parameters};
use crate::checkpoint::{Loader, Parameter, WeightFile};
use crate::device::differentiates;
use crate::error::Result;
use crate::kernels::gradient::transformer::{cross_entropy_recorded, has_transformer_steps};
use crate::kernels::quantize::{Codebook, Codebooks};
use crate::kernels::values;
use crate::model::RqTransformer;
use crate::model::config::rqtransformer::RqTransformerConfig;
use crate::model::dropout::Noise;
use crate::model::rqtransformer::Masked;
use crate::random::normal;

/// Spread of the first weights, as published.
const SPREAD: f32 = 0.02;

/// Everything of an RQ-Transformer that training changes.
#[derive(Clone, Debug)]
pub struct TrainedRqTransformer {
    /// What it is built from.
    pub config: RqTransformerConfig,
    /// What gradients change.
    pub parameters: Parameters,
    /// Stage 1's codebooks, where they embed codes; no gradient changes these.
    codebooks: Option<Codebooks>,
}

/// What the codes of stacks should be, `[B h w D]`; of a contextual model, what those of the masked cells should be.
pub enum Target {
    /// These codes.
    Hard(Tensor<1, Int>),
    /// Each code with this probability, `[B h w D, K]`.
    Soft(Tensor<2>),
}

/// How much the likelihoods of codes and of the caption count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of the codes.
    pub image: f64,
    /// Of the caption's tokens.
    pub text: f64,
}

/// A forward pass, and what its loss is made of.
pub struct Pass {
    /// What gradients reach.
    pub tracked: Named,
    /// Of the stacks and their captions.
    likelihood: Likelihood,
}

/// How unlikely a model holds stacks and their captions, in nats.
pub struct Likelihood {
    /// Negative log-likelihoods of the codes, `[B h w D]`; of a contextual model, of those of the masked cells.
    pub each: Tensor<1>,
    /// The mean of a caption's tokens, where the condition is a caption.
    pub text: Option<Tensor<1>>,
}

impl Likelihood {
    /// Of the masked cells of stacks `[B, h, w, D]`, given the others; `target` is of all cells. As [`Self::of`], of a contextual
    /// model (Draft-and-Revise, arXiv 2206.04452, equation 11).
    pub fn of_masked(
        model: &RqTransformer,
        codes: Tensor<4, Int>,
        condition: Tensor<2, Int>,
        target: Target,
        masked: &Masked,
    ) -> Self {
        let logits = model.masked_logits(codes, condition, masked);
        let [cells, depth, classes] = logits.dims();
        let target = target.of_cells(masked, depth);
        Self { each: unlikelihood(logits.reshape([cells * depth, classes]), target), text: None }
    }

    /// Of stacks `[B, h, w, D]` made from conditions `[B, length]`. Gradients reach all of it or nothing.
    pub fn of(
        model: &RqTransformer,
        codes: Tensor<4, Int>,
        condition: Tensor<2, Int>,
        target: Target,
    ) -> Self {
        let logits = model.logits(codes, condition.clone());
        let [batch, places, classes] = logits.codes.dims();
        let each = unlikelihood(logits.codes.reshape([batch * places, classes]), target);
        let text = logits.condition.map(|logits| {
            let [batch, length, classes] = logits.dims();
            let next = condition.slice([0..batch, 1..length + 1]).reshape([batch * length]);
            // The null condition's tokens are not a caption's: nothing is learned of them.
            let learned = next.clone().lower_elem(classes as i64);
            let next = next.mask_fill(learned.clone().bool_not(), 0);
            let each = unlikelihood(logits.reshape([batch * length, classes]), Target::Hard(next));
            let learned = learned.float();
            (each * learned.clone()).sum() / learned.sum().clamp_min(1.0)
        });
        Self { each, text }
    }

    /// The likelihoods in the proportion of `weights`; that of the codes alone where there is no caption.
    pub fn loss(&self, weights: Weights) -> Tensor<1> {
        let image = self.each.clone().mean();
        match &self.text {
            Some(text) => image * weights.image + text.clone() * weights.text,
            None => image,
        }
    }
}

impl TrainedRqTransformer {
    /// Untrained weights that `seed` determines; `codebooks` are stage 1's.
    pub fn initial(
        config: &RqTransformerConfig,
        codebooks: Option<&Codebooks>,
        seed: u32,
        device: &Device,
    ) -> Result<Self> {
        let list = plan(config, device)?;
        let parameters = Parameters::new(&list, device, |parameter| initial(parameter, seed));
        Ok(Self { config: config.clone(), parameters, codebooks: codebooks.cloned() })
    }

    /// The weights of `file`, whose names begin with `prefix`.
    ///
    /// # Errors
    /// A tensor is missing or of another shape.
    pub fn read(
        config: &RqTransformerConfig,
        codebooks: Option<&Codebooks>,
        file: &WeightFile,
        prefix: &str,
        device: &Device,
    ) -> Result<Self> {
        let parameters = Parameters::read(&plan(config, device)?, file, prefix, device)?;
        Ok(Self { config: config.clone(), parameters, codebooks: codebooks.cloned() })
    }

    /// Reads stacks `[B, h, w, D]` made from conditions `[B, length]`, both on the plain device; leaves out what `noise` says. A
    /// contextual model is given which cells are `masked`.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn forward(
        &self,
        codes: Tensor<4, Int>,
        condition: Tensor<2, Int>,
        target: Target,
        masked: Option<Masked>,
        noise: Option<Noise>,
    ) -> Result<Pass> {
        let tracked = self.parameters.tracked();
        let model = self.model(&tracked, &self.parameters.device().autodiff(), noise)?;
        let (codes, condition, target) = (codes.autodiff(), condition.autodiff(), target.autodiff());
        let likelihood = match masked.map(Masked::autodiff) {
            Some(masked) => Likelihood::of_masked(&model, codes, condition, target, &masked),
            None => Likelihood::of(&model, codes, condition, target),
        };
        Ok(Pass { tracked, likelihood })
    }

    /// The model made of `tensors`, all on `device`, which leaves out what `noise` says.
    ///
    /// # Errors
    /// They are of another model.
    pub fn model(&self, tensors: &Named, device: &Device, noise: Option<Noise>) -> Result<RqTransformer> {
        let mut loader = Loader::from_given(tensors, device).dropping(noise);
        let codebooks = match differentiates(device) {
            true => self.codebooks.as_ref().map(constant),
            false => self.codebooks.clone(),
        };
        let model = RqTransformer::load(&mut loader, &self.config, codebooks.as_ref())?;
        loader.finish()?;
        Ok(model)
    }
}

impl Target {
    /// The part of it that belongs to the cells asked for, of `depth` codes each.
    fn of_cells(self, masked: &Masked, depth: usize) -> Self {
        match self {
            Self::Hard(codes) => {
                let cells = codes.dims()[0] / depth;
                let codes = masked.rows_of(codes.reshape([cells, depth]));
                Self::Hard(codes.flatten(0, 1))
            }
            Self::Soft(soft) => {
                let [places, classes] = soft.dims();
                let by_cell = soft.reshape([places / depth, depth * classes]).select(0, masked.asked());
                let rows = by_cell.dims()[0] * depth;
                Self::Soft(by_cell.reshape([rows, classes]))
            }
        }
    }

    /// The same among tensors that gradients reach.
    fn autodiff(self) -> Self {
        match self {
            Self::Hard(codes) => Self::Hard(codes.autodiff()),
            Self::Soft(soft) => Self::Soft(soft.autodiff()),
        }
    }
}

impl Pass {
    /// The likelihoods in the proportion of `weights`; that of the codes alone where there is no caption.
    pub fn loss(&self, weights: Weights) -> Tensor<1> {
        self.likelihood.loss(weights)
    }

    /// Gradients of `loss`.
    pub fn gradients(&self, loss: &Tensor<1>) -> Gradients {
        Gradients::of(loss, &self.tracked)
    }

    /// Negative log-likelihood of a code, and of a caption's token, as numbers.
    pub fn losses(&self) -> (f32, Option<f32>) {
        let Likelihood { each, text } = &self.likelihood;
        let number = |loss: Tensor<1>| values(loss.inner())[0];
        (number(each.clone().mean()), text.clone().map(number))
    }
}

/// Cross entropy of each row of `logits` `[N, K]` and its target, in nats: `[N]`. Gradients reach both or neither.
pub fn unlikelihood(logits: Tensor<2>, target: Target) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    match target {
        Target::Soft(soft) if has_transformer_steps(&logits.device()) => cross_entropy_recorded(logits, soft),
        Target::Soft(soft) => {
            debug_assert_eq!(soft.dims(), [rows, classes]);
            (likelihoods(logits) * soft).sum_dim(1).reshape([rows]).neg()
        }
        Target::Hard(codes) => likelihoods(logits).gather(1, codes.reshape([rows, 1])).reshape([rows]).neg(),
    }
}

/// A code that a depth does not have is never a target, but nothing times infinity is no number.
fn likelihoods(logits: Tensor<2>) -> Tensor<2> {
    log_softmax(logits, 1).clamp_min(f32::MIN)
}

/// Codebooks among tensors that gradients reach.
fn constant(codebooks: &Codebooks) -> Codebooks {
    let of = |codebook: &Codebook| Codebook::new(codebook.embeddings.clone().autodiff());
    let each = codebooks.each();
    match codebooks.is_shared() {
        true => Codebooks::shared(of(&each[0]), each.len()),
        false => Codebooks::per_depth(each.iter().map(of).collect()),
    }
}

/// What gradients change.
fn plan(config: &RqTransformerConfig, device: &Device) -> Result<Vec<Parameter>> {
    let mut loader = Loader::plan(device);
    RqTransformer::load(&mut loader, config, None)?;
    loader.finish()
}

/// Normally distributed weights and embeddings; biases and positions begin at nothing, norms as identities.
fn initial(parameter: &Parameter, seed: u32) -> Vec<f32> {
    let count = parameter.shape.iter().product::<usize>();
    let name = parameter.name.as_str();
    let is_norm = [".ln1.", ".ln2.", ".layer_norm."].iter().any(|part| name.contains(part));
    match name.rsplit('.').next() {
        Some("weight") if is_norm => vec![1.0; count],
        Some("bias") => vec![0.0; count],
        _ => {
            let stream = super::stream(name);
            (0..count as u32).map(|i| SPREAD * normal([seed, stream, i, 0])).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Config, ModelConfig};
    use burn::tensor::TensorData;
    use serde_json::json;

    /// A batch's captions are learned of, and not the null conditions among them.
    #[test]
    fn a_caption_that_is_left_out_has_no_likelihood() {
        let document = json!({
            "dataset": {"vocab_size": 5},
            "arch": {
                "type": "rq-transformer", "block_size": [1, 2, 1], "embed_dim": 8, "vocab_size_cond": 4,
                "block_size_cond": 3, "cond_dropout": 0.5,
                "body": {"n_layer": 1, "block": {"n_head": 2}}, "head": {"n_layer": 1, "block": {"n_head": 2}},
            },
        });
        let ModelConfig::RqTransformer(config) = Config::from_document("test", document).unwrap().model
        else {
            panic!("expected a transformer")
        };
        let device = Device::flex();
        let trained = TrainedRqTransformer::initial(&config, None, 3, &device).unwrap();
        let model = trained.model(trained.parameters.values(), &device, None).unwrap();
        let text = |conditions: &[[i32; 3]]| {
            let count = conditions.len();
            let ints = |values: Vec<i32>, columns| {
                Tensor::<2, Int>::from_data(TensorData::new(values, [count, columns]), &device)
            };
            let codes = ints([1, 4].repeat(count), 2);
            let target = Target::Hard(codes.clone().reshape([2 * count]));
            let codes = codes.reshape([count, 1, 2, 1]);
            let found = Likelihood::of(&model, codes, ints(conditions.concat(), 3), target);
            values(found.text.expect("a model of captions"))[0]
        };
        let null = [4; 3];
        let alone = text(&[[1, 2, 3]]);
        // The definition: of the second and the third token, by the logits after the first and the second.
        let codes = Tensor::<4, Int>::from_data(TensorData::new(vec![1, 4], [1, 1, 2, 1]), &device);
        let condition = Tensor::<2, Int>::from_data(TensorData::new(vec![1, 2, 3], [1, 3]), &device);
        let logits = values(model.logits(codes, condition).condition.expect("a model of captions"));
        let nats = |row: &[f32], token: usize| row.iter().map(|x| x.exp()).sum::<f32>().ln() - row[token];
        let expected = (nats(&logits[..4], 2) + nats(&logits[4..8], 3)) / 2.0;
        assert!((alone - expected).abs() < 1e-5, "{alone} {expected}");
        assert!((text(&[[1, 2, 3], null, null]) - alone).abs() < 1e-6);
        assert_eq!(text(&[null]), 0.0);
    }
}
