//! Losses on the reconstructions of stage 1 besides the pixel loss: LPIPS, and a discriminator with adaptive
//! weight (Esser et al., arXiv 2012.09841, section 3.1).
//!
//! Burn's `backward` consumes the graph, but the adaptive weight needs gradients before the loss is known. So
//! these losses are computed on a detached copy of the reconstruction, and their summed gradient goes back
//! through the model in one pass.

mod adaptive_weight;
mod adversary;

pub use adversary::Adversary;

use burn::tensor::{Device, Tensor};

use super::config::TrainConfig;
use super::discriminator::Mode;
use super::parameters::{Gradients, Parameters};
use super::rank_share::RankShare;
use super::rqvae::Pass;
use super::run::{Tensors, moments, tensors};
use super::trainee::Measured;
use adaptive_weight::adaptive_weight;
use residua_core::error::{Error, Result};
use residua_judges::Lpips;
use residua_judges::lpips::LEAST_SIZE;
use residua_kernels::values;
use residua_weights::WeightFile;

/// Prefix of the discriminator's tensors in a training file.
const PREFIX: &str = "discriminator.";

/// The discriminator's step count in a training file.
const STEPS: &str = "discriminator.steps";

/// The judges that a configuration asks for, if any.
#[derive(Default)]
pub struct Judges {
    /// LPIPS and its weight.
    perceptual: Option<(Lpips, f64)>,
    adversary: Option<Adversary>,
}

/// The length of a run. The discriminator may start late, and has its own learning rate schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// Steps per epoch.
    pub per_epoch: u64,
    /// Total number of steps.
    pub steps: u64,
}

impl Judges {
    /// The judges of section `gan` for pictures of side `resolution`; `lpips` is used if LPIPS has a weight.
    ///
    /// # Errors
    /// The resolution is too low.
    pub fn begin(
        train: &TrainConfig,
        lpips: Option<Lpips>,
        resolution: usize,
        length: Length,
        seed: u32,
        device: &Device,
    ) -> Result<Self> {
        let Some(gan) = &train.gan else { return Ok(Self::default()) };
        let weight = gan.loss.perceptual_weight;
        let perceptual = lpips.filter(|_| weight > 0.0).map(|lpips| (lpips, weight));
        if perceptual.is_some() && resolution < LEAST_SIZE {
            return Err(Error::invalid(format!(
                "ddconfig.resolution: expected {LEAST_SIZE} or more for LPIPS, found {resolution}"
            )));
        }
        let has_adversary = gan.loss.disc_weight > 0.0;
        let adversary =
            has_adversary.then(|| Adversary::begin(gan, resolution, length, seed, device)).transpose()?;
        Ok(Self { perceptual, adversary })
    }

    /// The gradients of all losses for one part of step `step`: `pass` on `images` `[B, 3, H, W]`. The
    /// gradients of the discriminator are kept for the next [`Self::step`].
    ///
    /// If the pictures are a `share` of the part, so are the gradients and what is measured: the part's are the means
    /// over the ranks, by the weights of their shares.
    pub fn gradients(
        &mut self,
        pass: &Pass,
        images: &Tensor<4>,
        step: u64,
        share: &RankShare,
        measured: &mut Measured,
    ) -> Gradients {
        let adversary = self.adversary.as_mut().filter(|adversary| step >= adversary.begins);
        let [reconstruction, commitment] = pass.losses().map(f64::from);
        let blank = pass.blank.as_ref().map_or(0.0, number);
        let mut total = reconstruction + commitment * pass.commitment_weight() + blank;
        if self.perceptual.is_none() && adversary.is_none() {
            measured.add("loss", total);
            return pass.gradients(&pass.loss());
        }
        let made = pass.images.clone().inner().autodiff().require_grad();
        let mut loss = pass.compare(made.clone(), images.clone().autodiff());
        if let Some((lpips, weight)) = &self.perceptual {
            let distance = lpips.distance(made.clone(), images.clone().autodiff()).mean();
            let found = number(&distance);
            measured.add("perceptual", found);
            total += found * weight;
            loss = loss + distance * *weight;
        }
        measured.add("loss", total);
        let mut wanted = gradient(&loss, &made);
        if let Some(adversary) = adversary {
            let made = pass.images.clone().inner();
            adversary.discriminator.fix(&made, share);
            let (loss, other) = adversary.generator(made.clone(), share);
            let adaptive = adaptive_weight(&pass.features, &pass.last_layer(), [&wanted, &other], share);
            measured.add("generator", loss);
            measured.add("adaptive_weight", adaptive);
            measured.add("discriminator", adversary.learn(images.clone(), made, share));
            wanted = wanted + other * (adaptive * adversary.loss.disc_weight);
        }
        pass.gradients(&pass.toward(wanted))
    }

    /// All that [`Self::gradients`] changes.
    pub fn adversary(&self) -> Option<Adversary> {
        self.adversary.clone()
    }

    /// Goes back to what [`Self::adversary`] gave.
    pub fn restore(&mut self, adversary: Option<Adversary>) {
        self.adversary = adversary;
    }

    /// The discriminator takes a step along the mean gradient of `parts` parts, of which each rank has a `share`.
    pub fn step(&mut self, parts: usize, share: &RankShare) {
        if let Some(adversary) = &mut self.adversary {
            adversary.step(parts, share);
        }
    }

    /// The state needed to resume.
    pub fn training(&self) -> Tensors {
        let Some(adversary) = &self.adversary else { return Tensors::new() };
        let mut all = tensors(&adversary.discriminator.parameters, PREFIX);
        all.extend(tensors(&adversary.discriminator.running, PREFIX));
        all.extend(moments(&adversary.descent, PREFIX));
        all.push((STEPS.into(), vec![1], vec![adversary.descent.steps as f32]));
        all
    }

    /// Resumes from the state written by [`Self::training`].
    ///
    /// # Errors
    /// The state does not fit.
    pub fn resume(&mut self, training: &WeightFile, device: &Device) -> Result<()> {
        let Some(Adversary { discriminator, descent, .. }) = &mut self.adversary else { return Ok(()) };
        let read = |known: &Parameters| Parameters::read(&known.list(), training, PREFIX, device);
        let steps = training.read_f32(STEPS)?.first().map_or(0, |&steps| steps as u64);
        descent.resume(training, PREFIX, steps)?;
        discriminator.running = read(&discriminator.running)?;
        discriminator.parameters = read(&discriminator.parameters)?;
        Ok(())
    }

    /// Takes the discriminator's tensors in `file`, under names that begin with `prefix`, as far as the
    /// shapes match. Returns the names of those that are missing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn take(&mut self, file: &WeightFile, prefix: &str) -> Result<Vec<String>> {
        let Some(adversary) = &mut self.adversary else { return Ok(Vec::new()) };
        let others = adversary.discriminator.take(file, prefix)?;
        Ok(others.into_iter().map(|name| format!("{PREFIX}{name}")).collect())
    }

    /// Evaluates reconstructions `made` of `images`, both `[B, 3, H, W]`, without learning. LPIPS adds to the
    /// `loss`, as in training.
    pub fn measure(&mut self, made: &Tensor<4>, images: &Tensor<4>, step: u64, found: &mut Measured) {
        if let Some((lpips, weight)) = &self.perceptual {
            let distance = number(&lpips.distance(made.clone(), images.clone()).mean());
            found.add("perceptual", distance);
            found.add("loss", distance * weight);
        }
        if let Some(adversary) = self.adversary.as_mut().filter(|adversary| step > adversary.begins) {
            let constants = adversary.discriminator.parameters.values().clone();
            let mut logits = |of: &Tensor<4>| {
                adversary.discriminator.logits(&constants, of.clone(), Mode::Measuring).inner()
            };
            let [made, real] = [logits(made), logits(images)];
            found.add("generator", number(&adversary.loss.gen_loss.of(made.clone())));
            found.add("discriminator", number(&adversary.loss.disc_loss.of(real, made)));
        }
    }
}

/// The gradient of `loss` with respect to `of`.
fn gradient(loss: &Tensor<1>, of: &Tensor<4>) -> Tensor<4> {
    of.grad(&loss.backward()).unwrap_or_else(|| of.clone().inner().zeros_like())
}

fn number(loss: &Tensor<1>) -> f64 {
    f64::from(values(loss.clone().without_autodiff())[0])
}

#[cfg(test)]
mod tests {
    use super::adaptive_weight::LARGEST;
    use super::*;
    use crate::rqvae::TrainedRqVae;
    use residua_core::config::{Config, ModelConfig, RqVaeConfig};
    use residua_testing::tensor;
    use std::path::Path;

    pub fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/fixtures").join(name)
    }

    const CONFIG: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqvae-shared/config.yaml"));

    fn configs(gan: &str) -> (RqVaeConfig, TrainConfig) {
        let config = Config::parse("c", &format!("{CONFIG}\n{gan}\n")).unwrap();
        let train = TrainConfig::of("c", &config).unwrap();
        let ModelConfig::RqVae(model) = config.model else { panic!("a stage 1") };
        (*model, train)
    }

    fn judges(train: &TrainConfig) -> Judges {
        let device = Device::flex();
        let paths = ["lpips/vgg16.pth", "lpips/lin.pth"].map(fixture);
        let lpips = Lpips::load(&paths, &device).unwrap();
        Judges::begin(train, Some(lpips), 32, Length { per_epoch: 4, steps: 16 }, 7, &device).unwrap()
    }

    /// The gradients through a detached copy equal those of all losses in one graph.
    #[test]
    fn gradients_equal_those_of_the_sum_of_all_losses() {
        let gan =
            "gan: {disc: {arch: {num_layers: 2, ndf: 8}}, loss: {disc_weight: 0.7, perceptual_weight: 0.5}}";
        let (config, train) = configs(gan);
        let device = Device::flex();
        let mut model = TrainedRqVae::initial(&config, 3, &device).unwrap();
        let images = tensor([2, 3, 32, 32], 5, &device);
        let mut judges = judges(&train);
        let (mut measured, mut again) = (Measured::default(), model.clone());
        let pass = model.forward(images.clone(), None).unwrap();
        let found = judges.gradients(&pass, &images, 0, &RankShare::alone(), &mut measured);

        let pass = again.forward(images.clone(), None).unwrap();
        let Judges { perceptual: Some((lpips, _)), adversary: Some(adversary) } = &mut judges else {
            panic!("expected both judges")
        };
        let (constants, alone) = (adversary.discriminator.parameters.values().clone(), RankShare::alone());
        let generator =
            -adversary.discriminator.logits(&constants, pass.images.clone(), Mode::Training(&alone)).mean();
        let adaptive = measured.get("adaptive_weight").unwrap();
        assert!(adaptive > 0.0 && adaptive < LARGEST, "{adaptive}");
        let loss = pass.loss()
            + lpips.distance(pass.images.clone(), images.autodiff()).mean() * 0.5
            + generator * (adaptive * 0.7);
        let expected = pass.gradients(&loss);
        let of = |gradients: &Gradients, name: &String| values(gradients.get(name).unwrap().clone());
        let all: Vec<f32> = pass.tracked.keys().flat_map(|name| of(&expected, name)).collect();
        let largest = |numbers: &[f32]| numbers.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        // The gradients of biases before norms are zero up to rounding: that of a sum over all pixels whose
        // terms are as large as the largest gradient.
        let terms = pass.images.dims().iter().product::<usize>() as f32;
        let rounding = terms.sqrt() * f32::EPSILON * largest(&all);
        for name in pass.tracked.keys() {
            let (found, expected) = (of(&found, name), of(&expected, name));
            let off = 1e-3 * largest(&expected) + rounding;
            let same = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= off);
            assert!(same, "{name}: {found:?} but expected {expected:?}");
        }
    }

    #[test]
    fn the_discriminator_starts_at_disc_start() {
        let (config, train) =
            configs("gan: {disc: {arch: {num_layers: 1, ndf: 4}}, loss: {disc_start: 0.5}}");
        let device = Device::flex();
        let mut model = TrainedRqVae::initial(&config, 3, &device).unwrap();
        let images = tensor([1, 3, 32, 32], 5, &device);
        let mut judges = judges(&train);
        let first = judges.training();
        for step in 0..4 {
            let mut measured = Measured::default();
            let pass = model.forward(images.clone(), None).unwrap();
            judges.gradients(&pass, &images, step, &RankShare::alone(), &mut measured);
            judges.step(1, &RankShare::alone());
            // Half an epoch is two steps.
            assert_eq!(measured.get("discriminator").is_some(), step >= 2);
            assert!(measured.get("perceptual").is_some_and(|distance| distance > 0.0));
            assert_eq!(judges.training() != first, step >= 2);
        }
        assert_eq!(judges.training().last().unwrap().2, [2.0]);
    }

    #[test]
    fn pictures_too_small_for_the_network_are_refused() {
        let (_, train) = configs("gan: {loss: {disc_weight: 0}}");
        let lpips = Lpips::load(&["lpips/vgg16.pth", "lpips/lin.pth"].map(fixture), &Device::flex()).unwrap();
        let length = Length { per_epoch: 1, steps: 1 };
        let error = Judges::begin(&train, Some(lpips), 8, length, 0, &Device::flex()).err().unwrap();
        assert!(error.to_string().contains("expected 16 or more for LPIPS, found 8"), "{error}");
    }
}
