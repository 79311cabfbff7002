//! A run of stage 2: codes of a trained RQ-VAE, and all that has to be kept to go on exactly.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::average::Average;
use super::conditions::condition_tokens;
use super::config::{LossKind, TrainConfig};
use super::data::Loaded;
use super::latents::Latents;
use super::optimizer::Adam;
use super::parameters::{Gradients, Parameters};
use super::rqtransformer::{Target, TrainedRqTransformer, Weights};
use super::run::{Tensors, moments, tensors};
use super::trainee::{Measured, Trainee, pictures};
use crate::checkpoint::WeightFile;
use crate::error::{Error, Result};
use crate::generate::{Filter, Request, Session};
use crate::image_io::Picture;
use crate::kernels::sample_token::Draw;
use crate::kernels::values;
use crate::model::RqVae;
use crate::model::config::rqtransformer::RqTransformerConfig;
use crate::model::dropout::Noise;
use crate::tokenizer::Tokenizer;

/// Temperature of soft targets and drawn codes where the configuration names none.
const TEMPERATURE: f64 = 1.0;

/// How much the codes count beside a caption where the configuration does not say.
const IMAGE_WEIGHT: f64 = 0.9;

/// An RQ-Transformer under training.
pub struct Stage2Training {
    model: TrainedRqTransformer,
    adam: Adam,
    /// The averages of the weights, where they are kept.
    average: Option<Average>,
    longest_gradient: Option<f64>,
    rqvae: RqVae,
    /// Latents that need not be encoded.
    latents: Option<Latents>,
    tokenizer: Option<Tokenizer>,
    codes: Codes,
    weights: Weights,
    seed: u32,
}

/// How codes are chosen for latents, and what is learned of them (paper section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Codes {
    /// Of what is drawn or soft.
    temperature: f32,
    /// Whether codes are drawn, not the nearest.
    drawn: bool,
    /// Whether all codes are learned, by their distances.
    soft: bool,
}

/// Stacks to learn.
struct Stacks {
    /// `[B, h, w, D]`.
    codes: Tensor<4, Int>,
    target: Target,
}

impl Stage2Training {
    /// From the first values that `seed` determines, on codes of `rqvae`; `tokenizer` reads captions, where there are any.
    ///
    /// # Errors
    /// The two stages do not belong together.
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
        let codebooks =
            Some(&rqvae.quantizer.codebooks).filter(|_| config.input_emb_vqvae || config.head_emb_vqvae);
        let model = TrainedRqTransformer::initial(config, codebooks, seed, device)?;
        let image = train.loss.img_weight.unwrap_or(IMAGE_WEIGHT);
        Ok(Self {
            adam: Adam::new(train.optimizer.adam(), &model.parameters),
            average: train.ema.map(|decay| Average::new(&model.parameters, decay)),
            longest_gradient: train.optimizer.max_gn,
            codes: Codes {
                temperature: train.loss.temp.unwrap_or(TEMPERATURE) as f32,
                drawn: train.loss.stochastic_codes,
                soft: train.loss.kind == LossKind::SoftTargetCrossEntropy,
            },
            weights: Weights { image, text: train.loss.txt_weight.unwrap_or(1.0 - image) },
            model,
            rqvae,
            latents: None,
            tokenizer,
            seed,
        })
    }

    /// Takes the latents of what is learned from `latents`, instead of encoding pictures in each step.
    pub fn with_latents(mut self, latents: Latents) -> Self {
        self.latents = Some(latents);
        self
    }

    /// What people get: the averages of the weights, where they are kept.
    fn shown(&self) -> &Parameters {
        self.average.as_ref().map_or(&self.model.parameters, |average| &average.weights)
    }

    /// A new stack for each condition of `batch`, as published settings draw them.
    fn sample(&self, batch: &Loaded) -> Result<Tensor<4, Int>> {
        let shown = self.shown();
        let model = self.model.model(shown.values(), &shown.device(), None)?;
        let config = &self.model.config;
        let filter = Filter::published(config.published_sampling);
        let stacks = self.tokens(batch)?.into_iter().enumerate().map(|(image, condition)| {
            let images = image as u32..image as u32 + 1;
            let filters = vec![filter; config.depth()];
            let request = Request { condition, filters, seed: u64::from(self.seed), images, forced: None };
            let mut session = Session::new(&model, request)?;
            while session.done() < session.total() {
                session.step();
            }
            Ok(session.codes())
        });
        Ok(Tensor::cat(stacks.collect::<Result<Vec<_>>>()?, 0))
    }

    /// Conditions `[B, length]` of a batch.
    fn conditions(&self, batch: &Loaded) -> Result<Tensor<2, Int>> {
        let tokens: Vec<i32> = self.tokens(batch)?.concat().into_iter().map(|token| token as i32).collect();
        let shape = [batch.len(), self.model.config.block_size_cond];
        Ok(Tensor::from_data(TensorData::new(tokens, shape), &self.model.parameters.device()))
    }

    /// Condition tokens of each picture of a batch.
    fn tokens(&self, batch: &Loaded) -> Result<Vec<Vec<u32>>> {
        condition_tokens(&self.model.config, self.tokenizer.as_ref(), &batch.classes, &batch.captions)
    }

    /// What is learned of `latents` `[B, h', w', C]` in step `step`.
    fn stacks(&self, latents: Tensor<4>, codes: Codes, step: u64) -> Stacks {
        let filter = Filter { temperature: codes.temperature, ..Filter::NONE };
        let seed = u64::from(self.seed) << 32 ^ step;
        let mut soft: Vec<Tensor<3>> = Vec::new();
        let chosen = self.rqvae.quantizer.quantize_by(latents, |depth, codebook, residual| {
            if codes.soft {
                soft.push(codebook.soft(residual.clone(), codes.temperature).unsqueeze_dim(1));
            }
            match codes.drawn {
                true => {
                    codebook.stochastic(residual, &Draw { filter, seed, first_image: 0, place: depth as u32 })
                }
                false => codebook.nearest(residual),
            }
        });
        let [batch, h, w, depth] = chosen.codes.dims();
        let places = batch * h * w * depth;
        let target = match soft.is_empty() {
            true => Target::Hard(chosen.codes.clone().reshape([places])),
            false => {
                let all = Tensor::cat(soft, 1);
                let classes = all.dims()[2];
                Target::Soft(all.reshape([places, classes]))
            }
        };
        Stacks { codes: chosen.codes, target }
    }
}

impl Trainee for Stage2Training {
    fn take(&mut self, file: &WeightFile) -> Result<Vec<String>> {
        let others = self.model.parameters.take(file)?;
        self.average = self.average.take().map(|average| average.restarted(&self.model.parameters));
        Ok(others)
    }

    fn step(&mut self, parts: &[Loaded], step: u64, rate: f64) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut sum = Gradients::default();
        for part in parts {
            let latents = match &self.latents {
                Some(latents) => latents.of(part)?,
                None => self.rqvae.encode(part.images.clone()),
            };
            let Stacks { codes, target } = self.stacks(latents, self.codes, step);
            let noise = Noise { seed: self.seed, step: step as u32 };
            let pass = self.model.forward(codes, self.conditions(part)?, target, Some(noise))?;
            let loss = pass.loss(self.weights);
            sum.add(pass.gradients(&loss));
            let (image, text) = pass.losses();
            measured.add("loss", f64::from(values(loss.inner())[0]));
            measured.add("image", f64::from(image));
            if let Some(text) = text {
                measured.add("text", f64::from(text));
            }
        }
        measured.divide(parts.len() as f64);
        sum.scale(1.0 / parts.len() as f64);
        if let Some(longest) = self.longest_gradient {
            measured.add("gradient", sum.clip(longest));
        }
        // Biases, norms, embeddings and positions do not decay.
        let decays = |name: &str, shape: &[usize]| {
            shape.len() == 2 && name.ends_with(".weight") && !name.contains("emb")
        };
        self.adam.step(&mut self.model.parameters, &sum, rate, decays);
        if let Some(average) = &mut self.average {
            average.follow(&self.model.parameters, step);
        }
        Ok(measured)
    }

    fn model(&self) -> Tensors {
        tensors(self.shown(), "")
    }

    fn training(&self) -> Tensors {
        let mut all = tensors(&self.model.parameters, "weights.");
        all.extend(moments(&self.adam, ""));
        all
    }

    fn resume(&mut self, model: &WeightFile, training: &WeightFile, steps: u64) -> Result<()> {
        let device = self.model.parameters.device();
        let list = self.model.parameters.list();
        let read = |prefix: &str| Parameters::read(&list, training, prefix, &device);
        self.adam.means = read("means.")?;
        self.adam.squares = read("squares.")?;
        self.adam.steps = steps;
        if let Some(average) = &mut self.average {
            average.resume(model, &device)?;
        }
        self.model.parameters = read("weights.")?;
        Ok(())
    }

    fn sheet(&mut self, held_out: &Loaded) -> Result<Vec<Picture>> {
        let nearest = Codes { drawn: false, soft: false, ..self.codes };
        let codes = self.stacks(self.rqvae.encode(held_out.images.clone()), nearest, 0).codes;
        let sampled = self.sample(held_out)?;
        pictures(&[held_out.images.clone(), self.rqvae.decode_codes(codes), self.rqvae.decode_codes(sampled)])
    }
}
