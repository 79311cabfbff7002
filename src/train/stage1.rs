//! A run of stage 1: steps, and all that has to be kept to go on exactly.

use std::collections::HashSet;

use burn::tensor::Device;

use super::average::Average;
use super::config::TrainConfig;
use super::data::Loaded;
use super::judges::Judges;
use super::optimizer::Adam;
use super::parameters::{Gradients, Parameters};
use super::rqvae::TrainedRqVae;
use super::run::{Tensors, moments, tensors};
use super::trainee::{Measured, Trainee, pictures};
use crate::checkpoint::WeightFile;
use crate::error::Result;
use crate::image_io::Picture;
use crate::kernels::values;
use crate::model::rqvae::RqVaeConfig;

/// An RQ-VAE under training.
pub struct Stage1Training {
    model: TrainedRqVae,
    adam: Adam,
    /// The averages of the weights, where they are kept.
    average: Option<Average>,
    longest_gradient: Option<f64>,
    judges: Judges,
    seed: u32,
}

impl Stage1Training {
    /// From the first values that `seed` determines.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn begin(config: &RqVaeConfig, train: &TrainConfig, seed: u32, device: &Device) -> Result<Self> {
        let model = TrainedRqVae::initial(config, seed, device)?;
        Ok(Self {
            adam: Adam::new(train.optimizer.adam(), &model.parameters),
            average: train.ema.map(|decay| Average::new(&model.parameters, decay)),
            longest_gradient: train.optimizer.max_gn,
            judges: Judges::default(),
            model,
            seed,
        })
    }

    /// Judged by `judges`, too.
    pub fn judged_by(self, judges: Judges) -> Self {
        Self { judges, ..self }
    }

    /// What people get: the averages of the weights, where they are kept.
    fn shown(&self) -> &Parameters {
        self.average.as_ref().map_or(&self.model.parameters, |average| &average.weights)
    }
}

impl Trainee for Stage1Training {
    fn take(&mut self, file: &WeightFile) -> Result<Vec<String>> {
        let others = self.model.take(file)?;
        self.average = self.average.take().map(|average| average.restarted(&self.model.parameters));
        Ok(others)
    }

    fn step(&mut self, parts: &[Loaded], step: u64, rate: f64) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut sum = Gradients::default();
        for part in parts {
            let pass = self.model.forward(part.images.clone(), Some([self.seed, step as u32]))?;
            sum.add(self.judges.gradients(&pass, &part.images, step, &mut measured));
            let [reconstruction, commitment] = pass.losses();
            measured.add("reconstruction", f64::from(reconstruction));
            measured.add("commitment", f64::from(commitment));
            if let Some(blank) = &pass.blank {
                measured.add("blank", f64::from(values(blank.clone().inner())[0]));
            }
            let used: HashSet<usize> = pass.codes[0].iter().copied().collect();
            measured.add("used_at_depth_1", used.len() as f64);
        }
        measured.divide(parts.len() as f64);
        sum.scale(1.0 / parts.len() as f64);
        if let Some(longest) = self.longest_gradient {
            measured.add("gradient", sum.clip(longest));
        }
        self.adam.step(&mut self.model.parameters, &sum, rate, |_, _| true);
        if let Some(average) = &mut self.average {
            average.follow(&self.model.parameters, step);
        }
        self.judges.step(parts.len());
        Ok(measured)
    }

    fn model(&self) -> Tensors {
        let mut all = tensors(self.shown(), "");
        all.extend(self.model.codebook_tensors());
        all
    }

    fn training(&self) -> Tensors {
        let mut all = tensors(&self.model.parameters, "weights.");
        all.extend(moments(&self.adam, ""));
        all.extend(self.judges.training());
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
        self.model.codebooks = TrainedRqVae::read(&self.model.config, model, &device)?.codebooks;
        self.model.parameters = read("weights.")?;
        self.judges.resume(training, &device)
    }

    fn sheet(&mut self, held_out: &Loaded) -> Result<Vec<Picture>> {
        let made = self.model.reconstruct(self.shown(), held_out.images.clone())?;
        pictures(&[held_out.images.clone(), made])
    }
}
