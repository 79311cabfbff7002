//! Training of stage 1: steps, and the state needed to resume exactly.

use std::collections::HashSet;

use burn::tensor::Device;

use super::average::Average;
use super::codebooks::MovingCodebooks;
use super::config::TrainConfig;
use super::data::Loaded;
use super::judges::Judges;
use super::optimizer::Descent;
use super::parameters::{Gradients, Parameters};
use super::rank_share::RankShare;
use super::rqvae::{Looked, TrainedRqVae, read_codebooks};
use super::run::{Tensors, moments, tensors};
use super::trainee::{Measured, Parts, Trainee, passes, pictures};
use super::validation::Validation;
use residua_core::error::Result;
use residua_io::image_io::Picture;
use residua_kernels::values;
use residua_metrics::psnr;
use residua_model::rqvae::RqVaeConfig;
use residua_model::tensors::codes_from_tensor;
use residua_weights::WeightFile;

/// An RQ-VAE in training.
pub struct Stage1Training {
    model: TrainedRqVae,
    descent: Descent,
    /// EMA of the weights, if enabled.
    average: Option<Average>,
    longest_gradient: Option<f64>,
    judges: Judges,
    share: RankShare,
    seed: u32,
}

impl Stage1Training {
    /// Starts from initial values determined by `seed`.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn begin(config: &RqVaeConfig, train: &TrainConfig, seed: u32, device: &Device) -> Result<Self> {
        let model = TrainedRqVae::initial(config, seed, device)?;
        Ok(Self {
            descent: Descent::new(train.optimizer.descent(), &model.parameters),
            average: train.ema.map(|decay| Average::new(&model.parameters, Some(&model.codebooks), decay)),
            longest_gradient: train.optimizer.max_gn,
            judges: Judges::default(),
            share: RankShare::alone(),
            model,
            seed,
        })
    }

    /// Adds `judges` to the loss.
    pub fn judged_by(self, judges: Judges) -> Self {
        Self { judges, ..self }
    }

    /// The model to save and evaluate: the EMA of weights and codebooks, if enabled.
    fn shown(&self) -> TrainedRqVae {
        let model = self.model.clone();
        match &self.average {
            Some(Average { weights, codebooks: Some(codebooks), .. }) => {
                TrainedRqVae { parameters: weights.clone(), codebooks: codebooks.clone(), ..model }
            }
            _ => model,
        }
    }

    /// The mean gradient of `parts` in step `step`, and their metrics.
    fn gradients(&mut self, parts: &mut Parts<'_>, step: u64) -> Result<(Gradients, Measured)> {
        let (count, share) = (parts.len() as f64, self.share.clone());
        let (mut sum, mut measured) = (Gradients::default(), Measured::default());
        for pass in passes(step, parts, &share) {
            let (number, part) = pass?;
            let noise = share.noise(self.seed, number, part.len());
            let pass = self.model.forward_shared(part.images.clone(), Some(noise), &share)?;
            sum.add(self.judges.gradients(&pass, &part.images, step, &share, &mut measured));
            let [reconstruction, commitment] = pass.losses();
            measured.add("reconstruction", f64::from(reconstruction));
            measured.add("commitment", f64::from(commitment));
            if let Some(blank) = &pass.blank {
                measured.add("blank", f64::from(values(blank.clone().inner())[0]));
            }
            let used: HashSet<usize> = pass.codes[0].iter().copied().collect();
            measured.add("used_at_depth_1", used.len() as f64);
        }
        sum.scale(share.weight() / count);
        measured.divide(count / share.weight());
        sum.sum(&share);
        measured.sum(&share);
        Ok((sum, measured))
    }

    /// The codebooks in training, under their names in a training file. If there is an EMA, the checkpoint
    /// has its codebooks instead.
    fn moving_codebooks(&self) -> Tensors {
        let named = |(name, shape, values)| (format!("{WEIGHTS}{name}"), shape, values);
        self.model.codebook_tensors().into_iter().map(named).collect()
    }

    /// The codebooks in `training`, or else those in `model`.
    fn codebooks_of(&self, model: &WeightFile, training: &WeightFile) -> Result<MovingCodebooks> {
        read_codebooks(&self.model.config, training, WEIGHTS)
            .or_else(|_| read_codebooks(&self.model.config, model, ""))
    }
}

/// Prefix of the names of weights in a training file.
const WEIGHTS: &str = "weights.";

impl Trainee for Stage1Training {
    fn take(&mut self, file: &WeightFile) -> Result<Vec<String>> {
        let others = self.model.take(file)?;
        let TrainedRqVae { parameters, codebooks, .. } = &self.model;
        self.average = self.average.take().map(|average| average.restarted(parameters, Some(codebooks)));
        Ok(others)
    }

    fn take_judges(&mut self, file: &WeightFile, prefix: &str) -> Result<Vec<String>> {
        self.judges.take(file, prefix)
    }

    fn learn_only(&mut self, share: RankShare) {
        self.share = share;
    }

    fn learn(&mut self, parts: &mut Parts<'_>, step: u64, rate: f64) -> Result<Measured> {
        let count = parts.len();
        // Each part moves the codebooks and the discriminator: if a later one fails, they move back.
        let before = (count > 1).then(|| (self.model.codebooks.clone(), self.judges.adversary()));
        let learned = self.gradients(parts, step);
        if let (Err(_), Some((codebooks, adversary))) = (&learned, before) {
            self.model.codebooks = codebooks;
            self.judges.restore(adversary);
        }
        let (mut sum, mut measured) = learned?;
        if let Some(longest) = self.longest_gradient {
            measured.add("gradient", sum.clip(longest));
        }
        self.descent.step(&mut self.model.parameters, &sum, rate, |_, _| true);
        if let Some(average) = &mut self.average {
            average.follow(&self.model.parameters, Some(&self.model.codebooks), step);
        }
        self.judges.step(count, &self.share);
        Ok(measured)
    }

    fn model(&self) -> Tensors {
        let shown = self.shown();
        let mut all = tensors(&shown.parameters, "");
        all.extend(shown.codebook_tensors());
        all
    }

    fn training(&self) -> Tensors {
        let mut all = tensors(&self.model.parameters, WEIGHTS);
        all.extend(self.moving_codebooks());
        all.extend(moments(&self.descent, ""));
        all.extend(self.judges.training());
        all
    }

    fn resume(&mut self, model: &WeightFile, training: &WeightFile, steps: u64) -> Result<()> {
        let device = self.model.parameters.device();
        self.descent.resume(training, "", steps)?;
        if let Some(average) = &mut self.average {
            average.resume(model, &device)?;
            average.codebooks = Some(read_codebooks(&self.model.config, model, "")?);
        }
        self.model.codebooks = self.codebooks_of(model, training)?;
        self.model.parameters = Parameters::read(&self.model.parameters.list(), training, WEIGHTS, &device)?;
        self.judges.resume(training, &device)
    }

    fn validate(&mut self, held_out: &Loaded, steps: u64, found: &mut Validation) -> Result<()> {
        let Looked { images, codes, losses: [reconstruction, commitment], blank } =
            self.shown().look(&held_out.images)?;
        let mut measured = Measured::default();
        let weight = self.model.config.hparams.latent_loss_weight;
        measured.add("loss", reconstruction + commitment * weight + blank);
        measured.add("reconstruction", reconstruction);
        measured.add("commitment", commitment);
        self.judges.measure(&images, &held_out.images, steps, &mut measured);
        let [made, wanted] = [images, held_out.images.clone()].map(|images| pictures(&[images]));
        let ratios: Vec<f64> =
            made?.iter().zip(&wanted?).map(|(made, wanted)| psnr(made, wanted)).collect::<Result<_>>()?;
        measured.add("psnr", ratios.iter().sum::<f64>() / ratios.len() as f64);
        found.add(held_out.len(), &measured);
        let stacks = pollster::block_on(codes_from_tensor(codes))?;
        found.count(&self.model.config.codebook_sizes()?, &stacks);
        Ok(())
    }

    fn sheet(&mut self, held_out: &Loaded) -> Result<Vec<Picture>> {
        let made = self.shown().look(&held_out.images)?.images;
        pictures(&[held_out.images.clone(), made])
    }
}
