//! A step of stage 2: the likelihood of code stacks, with hard or soft targets (paper section 3.2.2).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};

use super::parameters::{Gradients, Named, Parameters};
use residua_core::config::rqtransformer::RqTransformerConfig;
use residua_core::error::Result;
use residua_core::random::normal;
use residua_kernels::device::differentiates;
use residua_kernels::dropout::Noise;
use residua_kernels::gradient::transformer::{cross_entropy_recorded, has_transformer_steps};
use residua_kernels::quantize::{Codebook, Codebooks};
use residua_kernels::values;
use residua_model::RqTransformer;
use residua_model::rqtransformer::Masked;
use residua_model::{Loader, Parameter};
use residua_weights::WeightFile;

/// Standard deviation of the initial weights: that of the published `_init_weights`. (No published file calls it,
/// as the trainer of stage 2 is not published.)
const SPREAD: f32 = 0.02;

/// An RQ-Transformer in training.
#[derive(Clone, Debug)]
pub struct TrainedRqTransformer {
    /// The model's configuration.
    pub config: RqTransformerConfig,
    /// Trained by gradients.
    pub parameters: Parameters,
    /// Stage 1's codebooks, if they embed codes; gradients do not change them.
    codebooks: Option<Codebooks>,
}

/// Target of each code, `[B h w D]`; for a contextual model, of the codes of the masked cells.
pub enum Target {
    /// The target codes.
    Hard(Tensor<1, Int>),
    /// The probability of each code, `[B h w D, K]`.
    Soft(Tensor<2>),
}

/// Weights of the likelihoods in the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossWeights {
    /// Weight of the codes.
    pub image: f64,
    /// Weight of the caption's tokens.
    pub text: f64,
}

/// A forward pass, and the terms of its loss.
pub struct Pass {
    /// The parameters, tracking gradients.
    pub tracked: Named,
    /// Negative log-likelihoods of the stacks and their captions.
    likelihood: Likelihood,
}

/// Negative log-likelihoods of stacks and their captions, in nats.
pub struct Likelihood {
    /// Of each code, `[B h w D]`; for a contextual model, of each code of the masked cells.
    pub each: Tensor<1>,
    /// Mean over the caption's tokens, if the condition is a caption.
    pub text: Option<Tensor<1>>,
    /// The number of these tokens, without those of null conditions.
    tokens: Option<Tensor<1>>,
}

impl Likelihood {
    /// The likelihood of the masked cells of stacks `[B, h, w, D]` under a contextual model, given the other
    /// cells (Draft-and-Revise, arXiv 2206.04452, equation 11); `target` covers all cells. See [`Self::of`].
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
        Self {
            each: cross_entropy(logits.reshape([cells * depth, classes]), target),
            text: None,
            tokens: None,
        }
    }

    /// The likelihood of stacks `[B, h, w, D]` with conditions `[B, length]`. Either all of these tensors
    /// track gradients, or none.
    pub fn of(
        model: &RqTransformer,
        codes: Tensor<4, Int>,
        condition: Tensor<2, Int>,
        target: Target,
    ) -> Self {
        let logits = model.logits(codes, condition.clone());
        let [batch, places, classes] = logits.codes.dims();
        let each = cross_entropy(logits.codes.reshape([batch * places, classes]), target);
        let text = logits.condition.map(|logits| {
            let [batch, length, classes] = logits.dims();
            let next = condition.slice([0..batch, 1..length + 1]).reshape([batch * length]);
            // The null condition's tokens are not part of a caption, and are not learned.
            let learned = next.clone().lower_elem(classes as i64);
            let next = next.mask_fill(learned.clone().bool_not(), 0);
            let each = cross_entropy(logits.reshape([batch * length, classes]), Target::Hard(next));
            let learned = learned.float();
            let tokens = learned.clone().sum();
            ((each * learned).sum() / tokens.clone().clamp_min(1.0), tokens)
        });
        let (text, tokens) = text.unzip();
        Self { each, text, tokens }
    }

    /// The weighted sum of the negative log-likelihoods; without a caption, that of the codes alone.
    pub fn loss(&self, weights: LossWeights) -> Tensor<1> {
        self.part_of_loss(weights, [1.0; 2])
    }

    /// What these stacks add to the loss of a batch that has more: they have these `fractions` of all codes, and of all
    /// tokens of captions.
    fn part_of_loss(&self, weights: LossWeights, [codes, tokens]: [f64; 2]) -> Tensor<1> {
        let image = self.each.clone().mean();
        match &self.text {
            Some(text) => image * (weights.image * codes) + text.clone() * (weights.text * tokens),
            None => image * codes,
        }
    }
}

impl TrainedRqTransformer {
    /// A model with initial weights determined by `seed`; `codebooks` are stage 1's.
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

    /// Reads the weights from `file`, where `prefix` comes before each name.
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

    /// Runs the model on stacks `[B, h, w, D]` with conditions `[B, length]`, both on the plain device;
    /// `noise` determines dropout. For a contextual model, `masked` names the masked cells.
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

    /// The model with the parameters `tensors`, all on `device`; `noise` determines dropout.
    ///
    /// # Errors
    /// The tensors belong to another model.
    pub fn model(&self, tensors: &Named, device: &Device, noise: Option<Noise>) -> Result<RqTransformer> {
        let mut loader = Loader::from_given(tensors, device).dropping(noise);
        let codebooks = if differentiates(device) {
            self.codebooks.as_ref().map(constant)
        } else {
            self.codebooks.clone()
        };
        let model = RqTransformer::load(&mut loader, &self.config, codebooks.as_ref())?;
        loader.finish()?;
        Ok(model)
    }
}

impl Target {
    /// The targets of the cells asked for, with `depth` codes each.
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

    /// The same tensors on the autodiff device.
    fn autodiff(self) -> Self {
        match self {
            Self::Hard(codes) => Self::Hard(codes.autodiff()),
            Self::Soft(soft) => Self::Soft(soft.autodiff()),
        }
    }
}

impl Pass {
    /// The weighted sum of the negative log-likelihoods; without a caption, that of the codes alone.
    pub fn loss(&self, weights: LossWeights) -> Tensor<1> {
        self.likelihood.loss(weights)
    }

    /// What these stacks add to the loss of a batch: they have these `fractions` of its codes and of its tokens.
    pub fn part_of_loss(&self, weights: LossWeights, fractions: [f64; 2]) -> Tensor<1> {
        self.likelihood.part_of_loss(weights, fractions)
    }

    /// How many codes are learned, and how many tokens of captions.
    pub fn counts(&self) -> [f64; 2] {
        let Likelihood { each, tokens, .. } = &self.likelihood;
        let tokens = tokens.as_ref().map_or(0.0, |tokens| f64::from(values(tokens.clone().inner())[0]));
        [each.dims()[0] as f64, tokens]
    }

    /// Gradients of `loss`.
    pub fn gradients(&self, loss: &Tensor<1>) -> Gradients {
        Gradients::of(loss, &self.tracked)
    }

    /// Mean negative log-likelihood per code, and per caption token, as numbers.
    pub fn losses(&self) -> (f32, Option<f32>) {
        let Likelihood { each, text, .. } = &self.likelihood;
        let number = |loss: Tensor<1>| values(loss.inner())[0];
        (number(each.clone().mean()), text.clone().map(number))
    }
}

/// Cross entropy between each row of `logits` `[N, K]` and its target, in nats: `[N]`. Either both track
/// gradients, or neither.
pub fn cross_entropy(logits: Tensor<2>, target: Target) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    match target {
        Target::Soft(soft) if has_transformer_steps(&logits.device()) => cross_entropy_recorded(logits, soft),
        Target::Soft(soft) => {
            debug_assert_eq!(soft.dims(), [rows, classes]);
            (log_probabilities(logits) * soft).sum_dim(1).reshape([rows]).neg()
        }
        Target::Hard(codes) => {
            log_probabilities(logits).gather(1, codes.reshape([rows, 1])).reshape([rows]).neg()
        }
    }
}

/// Log-probabilities, clamped to be finite: codes that a depth does not have get -inf, and 0 times infinity
/// is NaN.
fn log_probabilities(logits: Tensor<2>) -> Tensor<2> {
    log_softmax(logits, 1).clamp_min(f32::MIN)
}

/// The codebooks on the autodiff device.
fn constant(codebooks: &Codebooks) -> Codebooks {
    let of = |codebook: &Codebook| Codebook::new(codebook.embeddings.clone().autodiff());
    let each = codebooks.each();
    if codebooks.is_shared() {
        Codebooks::shared(of(&each[0]), each.len())
    } else {
        Codebooks::per_depth(each.iter().map(of).collect())
    }
}

/// The parameters trained by gradients.
fn plan(config: &RqTransformerConfig, device: &Device) -> Result<Vec<Parameter>> {
    let mut loader = Loader::plan(device);
    RqTransformer::load(&mut loader, config, None)?;
    loader.finish()
}

/// Normally distributed weights, embeddings and positions; biases start at 0, norms as the identity.
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
    use burn::tensor::TensorData;
    use residua_core::config::{Config, ModelConfig};
    use serde_json::json;

    /// Captions in a batch are learned, null conditions are not.
    #[test]
    fn a_dropped_caption_has_no_likelihood() {
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
        // By definition: the second and third tokens, predicted by the logits after the first and second.
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
