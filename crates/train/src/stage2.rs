//! Training of stage 2 on the codes of a trained RQ-VAE: steps, and the state needed to resume exactly.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::average::Average;
use super::conditions::condition_tokens;
use super::config::{LossKind, TrainConfig};
use super::data::Loaded;
use super::latents::Latents;
use super::masks::masked_rows;
use super::optimizer::Descent;
use super::parameters::{Gradients, Parameters};
use super::rank_share::RankShare;
use super::rqtransformer::{Likelihood, LossWeights, Target, TrainedRqTransformer};
use super::run::{Tensors, moments, tensors};
use super::trainee::{Measured, Parts, Trainee, passes, pictures};
use super::validation::{Validation, nats_at};
use residua_core::config::Architecture;
use residua_core::config::rqtransformer::RqTransformerConfig;
use residua_core::error::{Error, Result};
use residua_core::sampling::Filter;
use residua_io::image_io::Picture;
use residua_io::tokenizer::Tokenizer;
use residua_kernels::dropout::Noise;
use residua_kernels::sample_token::Draw;
use residua_kernels::values;
use residua_model::RqVae;
use residua_model::generate::{DraftAndRevise, Request, Session, Steps};
use residua_model::rqtransformer::Masked;
use residua_weights::WeightFile;

/// Default temperature for soft targets and sampled codes.
const TEMPERATURE: f64 = 1.0;

/// Default weight of the codes in the loss of a model with captions.
const IMAGE_WEIGHT: f64 = 0.9;

/// An RQ-Transformer in training.
pub struct Stage2Training {
    model: TrainedRqTransformer,
    descent: Descent,
    /// EMA of the weights, if enabled.
    average: Option<Average>,
    longest_gradient: Option<f64>,
    rqvae: RqVae,
    /// Cached latents, which need no encoding.
    latents: Option<Latents>,
    tokenizer: Option<Tokenizer>,
    codes: Codes,
    weights: LossWeights,
    share: RankShare,
    seed: u32,
}

/// How to choose codes for latents, and the targets (paper section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Codes {
    /// Temperature of sampled codes and soft targets.
    temperature: f32,
    /// True to sample codes, false to take the nearest.
    drawn: bool,
    /// True for soft targets over all codes, by their distances.
    soft: bool,
}

/// Stacks and their targets.
struct Stacks {
    /// `[B, h, w, D]`.
    codes: Tensor<4, Int>,
    target: Target,
}

impl Stage2Training {
    /// Starts from initial values determined by `seed`, on codes of `rqvae`; `tokenizer` encodes captions, if
    /// there are any.
    ///
    /// # Errors
    /// The two stages do not fit together.
    pub fn begin(
        config: &RqTransformerConfig,
        train: &TrainConfig,
        rqvae: RqVae,
        tokenizer: Option<Tokenizer>,
        seed: u32,
        device: &Device,
    ) -> Result<Self> {
        let (found, expected) = (rqvae.config.hparams.code_shape, config.block_size);
        if found != expected {
            return Err(Error::invalid(format!(
                "block_size: expected {found:?}, the code_shape of the RQ-VAE, found {expected:?}"
            )));
        }
        let (found, expected) = (config.codebook_sizes()?, rqvae.config.codebook_sizes()?);
        if found != expected {
            return Err(Error::invalid(format!(
                "vocab_size: expected {expected:?}, the codebooks of the RQ-VAE, found {found:?}"
            )));
        }
        let codebooks =
            Some(&rqvae.quantizer.codebooks).filter(|_| config.input_emb_vqvae || config.head_emb_vqvae);
        let model = TrainedRqTransformer::initial(config, codebooks, seed, device)?;
        let image = train.loss.img_weight.unwrap_or(IMAGE_WEIGHT);
        Ok(Self {
            descent: Descent::new(train.optimizer.descent(), &model.parameters),
            average: train.ema.map(|decay| Average::new(&model.parameters, None, decay)),
            longest_gradient: train.optimizer.max_gn,
            codes: Codes {
                temperature: train.loss.temp.unwrap_or(TEMPERATURE) as f32,
                drawn: train.loss.stochastic_codes,
                soft: train.loss.kind == LossKind::SoftTargetCrossEntropy,
            },
            weights: LossWeights { image, text: train.loss.txt_weight.unwrap_or(1.0 - image) },
            model,
            rqvae,
            latents: None,
            tokenizer,
            share: RankShare::alone(),
            seed,
        })
    }

    /// Uses cached `latents` instead of encoding pictures in each step.
    pub fn with_latents(mut self, latents: Latents) -> Self {
        self.latents = Some(latents);
        self
    }

    /// The weights to save and evaluate: the EMA, if enabled.
    fn shown(&self) -> &Parameters {
        self.average.as_ref().map_or(&self.model.parameters, |average| &average.weights)
    }

    /// Samples a stack for each condition of `batch`, with the published settings.
    fn sample(&self, batch: &Loaded) -> Result<Tensor<4, Int>> {
        let shown = self.shown();
        let model = self.model.model(shown.values(), &shown.device(), None)?;
        let config = &self.model.config;
        let stacks = self.tokens(batch, None)?.into_iter().enumerate().map(|(image, condition)| {
            let images = (image as u32..image as u32 + 1).into();
            let filters = config.sampling.filters.clone();
            let request = Request { condition, filters, seed: u64::from(self.seed), images, forced: None };
            match config.schedule(&request.filters, None, None) {
                Some(schedule) => Ok(finished(DraftAndRevise::new(&model, request, schedule)?)),
                None => Ok(finished(Session::new(&model, request)?)),
            }
        });
        Ok(Tensor::cat(stacks.collect::<Result<Vec<_>>>()?, 0))
    }

    /// Conditions `[B, length]` of a batch; `noise` determines which merges and conditions to drop.
    fn conditions(&self, batch: &Loaded, noise: Option<Noise>) -> Result<Tensor<2, Int>> {
        let tokens = self.tokens(batch, noise)?.concat();
        let tokens: Vec<i32> = tokens.into_iter().map(|token| token as i32).collect();
        let shape = [batch.len(), self.model.config.block_size_cond];
        Ok(Tensor::from_data(TensorData::new(tokens, shape), &self.model.parameters.device()))
    }

    /// Condition tokens for each picture of a batch; `noise` determines which merges and conditions to drop.
    fn tokens(&self, batch: &Loaded, noise: Option<Noise>) -> Result<Vec<Vec<u32>>> {
        condition_tokens(&self.model.config, self.tokenizer.as_ref(), &batch.classes, &batch.captions, noise)
    }

    /// The masked cells of `images` stacks, as determined by `noise`, for a contextual model.
    fn masked(&self, images: usize, noise: Noise) -> Option<Masked> {
        let config = &self.model.config;
        (config.kind == Architecture::Contextual).then(|| {
            let rows = masked_rows(images, config.cells(), noise);
            Masked::all_of(&rows, images, config.cells(), &self.model.parameters.device())
        })
    }

    /// Codes and targets for `latents` `[B, h', w', C]`; `noise` determines sampled codes.
    fn stacks(&self, latents: Tensor<4>, codes: Codes, noise: Noise) -> Stacks {
        let filter = Filter { temperature: codes.temperature, ..Filter::NONE };
        let seed = u64::from(noise.seed) << 32 ^ u64::from(noise.pass);
        let [h, w, _] = self.rqvae.config.hparams.code_shape;
        let first_image = noise.first * (h * w) as u32;
        let mut soft: Vec<Tensor<3>> = Vec::new();
        let chosen = self.rqvae.quantizer.quantize_by(latents, |depth, codebook, residual| {
            if codes.soft {
                soft.push(codebook.soft(residual.clone(), codes.temperature).unsqueeze_dim(1));
            }
            if codes.drawn {
                codebook.stochastic(
                    residual,
                    &Draw { filter, seed, first_image, image_step: 1, place: depth as u32, turns: None },
                )
            } else {
                codebook.nearest(residual)
            }
        });
        let [batch, h, w, depth] = chosen.codes.dims();
        let places = batch * h * w * depth;
        let target = if soft.is_empty() {
            Target::Hard(chosen.codes.clone().reshape([places]))
        } else {
            let classes = soft.iter().map(|soft| soft.dims()[2]).max().unwrap_or(0);
            let padded = soft.into_iter().map(|soft| padded(soft, classes)).collect();
            Target::Soft(Tensor::cat(padded, 1).reshape([places, classes]))
        };
        Stacks { codes: chosen.codes, target }
    }
}

/// Whether weight decay applies: not to biases, norms, embeddings and positions.
fn decays(name: &str, shape: &[usize]) -> bool {
    shape.len() > 1 && name.ends_with(".weight") && !name.contains("emb")
}

/// Runs a session to its end; returns the codes `[B, h, w, D]`.
fn finished(mut session: impl Steps) -> Tensor<4, Int> {
    session.finish();
    session.codes()
}

/// Pads `soft` `[N, 1, K]` with zeros to `classes` codes, for depths with a smaller codebook.
fn padded(soft: Tensor<3>, classes: usize) -> Tensor<3> {
    let [cells, one, size] = soft.dims();
    match classes - size {
        0 => soft,
        lacking => {
            let none = Tensor::zeros([cells, one, lacking], &soft.device());
            Tensor::cat(vec![soft, none], 2)
        }
    }
}

impl Trainee for Stage2Training {
    fn take(&mut self, file: &WeightFile) -> Result<Vec<String>> {
        let others = self.model.parameters.take(file, "")?;
        self.average = self.average.take().map(|average| average.restarted(&self.model.parameters, None));
        Ok(others)
    }

    fn learn_only(&mut self, share: RankShare) {
        self.share = share;
    }

    fn learn(&mut self, parts: &mut Parts<'_>, step: u64, rate: f64) -> Result<Measured> {
        let share = self.share.clone();
        let count = parts.len() * share.teams();
        let mut measured = Measured::default();
        let mut sum = Gradients::default();
        for pass in passes(step, parts, &share) {
            let (number, part) = pass?;
            let noise = share.noise(self.seed, number, part.len());
            let latents = match &self.latents {
                Some(latents) => latents.of(&part)?,
                None => self.rqvae.encode(part.images.clone()),
            };
            let Stacks { codes, target } = self.stacks(latents, self.codes, noise);
            let (condition, masked) = (self.conditions(&part, Some(noise))?, self.masked(part.len(), noise));
            let pass = self.model.forward(codes, condition, target, masked, Some(noise))?;
            let [of_codes, of_tokens] = share.fractions(|| pass.counts());
            let loss = pass.part_of_loss(self.weights, [of_codes, of_tokens]);
            sum.add(pass.gradients(&loss));
            let (image, text) = pass.losses();
            measured.add("loss", f64::from(values(loss.inner())[0]));
            measured.add("image", f64::from(image) * of_codes);
            if let Some(text) = text {
                measured.add("text", f64::from(text) * of_tokens);
            }
        }
        measured.divide(count as f64);
        sum.scale(1.0 / count as f64);
        sum.sum(&share);
        measured.sum(&share);
        if let Some(longest) = self.longest_gradient {
            measured.add("gradient", sum.clip(longest));
        }
        self.descent.step(&mut self.model.parameters, &sum, rate, decays);
        if let Some(average) = &mut self.average {
            average.follow(&self.model.parameters, None, step);
        }
        Ok(measured)
    }

    fn model(&self) -> Tensors {
        tensors(self.shown(), "")
    }

    fn training(&self) -> Tensors {
        let mut all = tensors(&self.model.parameters, "weights.");
        all.extend(moments(&self.descent, ""));
        all
    }

    fn resume(&mut self, model: &WeightFile, training: &WeightFile, steps: u64) -> Result<()> {
        let device = self.model.parameters.device();
        self.descent.resume(training, "", steps)?;
        if let Some(average) = &mut self.average {
            average.resume(model, &device)?;
        }
        self.model.parameters =
            Parameters::read(&self.model.parameters.list(), training, "weights.", &device)?;
        Ok(())
    }

    fn validate(&mut self, held_out: &Loaded, _steps: u64, found: &mut Validation) -> Result<()> {
        let latents = self.rqvae.encode(held_out.images.clone());
        let model = self.model.model(self.shown().values(), &self.shown().device(), None)?;
        let condition = self.conditions(held_out, None)?;
        // The same codes are sampled, and the same cells masked, in each evaluation.
        let noise = Noise::new(self.seed, held_out.indices.first().map_or(0, |&index| index as u32));
        let Stacks { codes, target } = self.stacks(latents.clone(), self.codes, noise);
        let masked = self.masked(held_out.len(), noise);
        let likelihood = |codes, target| match &masked {
            Some(masked) => Likelihood::of_masked(&model, codes, condition.clone(), target, masked),
            None => Likelihood::of(&model, codes, condition.clone(), target),
        };
        let learned = likelihood(codes, target);
        let mut measured = Measured::default();
        let number = |nats: Tensor<1>| f64::from(values(nats)[0]);
        measured.add("loss", number(learned.loss(self.weights)));
        measured.add("image", number(learned.each.clone().mean()));
        if let Some(text) = &learned.text {
            measured.add("text", number(text.clone()));
        }
        let nearest = Codes { drawn: false, soft: false, ..self.codes };
        let Stacks { codes, target } = self.stacks(latents, nearest, noise);
        let nats = likelihood(codes, target).each;
        let depths = self.model.config.depth();
        let cells = nats.dims()[0] / depths;
        let by_depth = values(nats.reshape([cells, depths]).mean_dim(0));
        by_depth.iter().enumerate().for_each(|(d, &nats)| measured.add(nats_at(d), nats.into()));
        found.add(held_out.len(), &measured);
        Ok(())
    }

    fn sheet(&mut self, held_out: &Loaded) -> Result<Vec<Picture>> {
        let nearest = Codes { drawn: false, soft: false, ..self.codes };
        let noise = Noise::new(self.seed, 0);
        let codes = self.stacks(self.rqvae.encode(held_out.images.clone()), nearest, noise).codes;
        let sampled = self.sample(held_out)?;
        pictures(&[held_out.images.clone(), self.rqvae.decode_codes(codes), self.rqvae.decode_codes(sampled)])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use residua_core::config::StateKind;

    /// A classifier for each depth decays like one for all depths.
    #[test]
    fn weights_of_linear_layers_decay() {
        let is_linear = |name: &str| {
            let layers = ["attn.", "mlp.", "classifier.linear."];
            name.ends_with(".weight") && layers.iter().any(|layer| name.contains(layer))
        };
        for (case, dimensions) in [("rqt-tuple-embedding", 3), ("rqt-class", 2)] {
            let path =
                Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/fixtures").join(case);
            let file = WeightFile::open(&path.join("model.pt"), StateKind::State).unwrap();
            assert_eq!(file.get("classifier.linear.weight").unwrap().shape.len(), dimensions);
            for tensor in file.tensors() {
                let found = decays(&tensor.name, &tensor.shape);
                assert_eq!(found, is_linear(&tensor.name), "{case}: {}", tensor.name);
            }
        }
    }
}
