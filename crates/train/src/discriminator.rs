//! The discriminator of stage 1: a PatchGAN (Isola et al., arXiv 1611.07004), with a logit for each patch of
//! a picture.

mod norm;

pub use norm::Mode;

use burn::tensor::activation::{leaky_relu, relu, softplus};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use super::config::{DiscArch, DiscLoss, GenLoss};
use super::parameters::{Named, Parameters};
use super::rank_share::RankShare;
use norm::{Norm, fixed_by};
use residua_core::error::{Error, Result};
use residua_core::random::{normal, uniform};
use residua_kernels::values;
use residua_model::Parameter;
use residua_weights::WeightFile;

/// Height and width of all kernels.
const KERNEL: usize = 4;

/// Largest factor on the number of channels.
const WIDEST: usize = 8;

/// Negative slope of leaky ReLU.
const SLOPE: f64 = 0.2;

/// Standard deviation of the initial weights.
const SPREAD: f32 = 0.02;

/// A convolution, its norm and its activation.
#[derive(Clone, Debug)]
struct Layer {
    /// Index in the published `main`; the norm has the next one.
    place: usize,
    channels: [usize; 2],
    stride: usize,
    /// The norm after the convolution.
    norm: Option<Norm>,
    is_last: bool,
}

/// A discriminator in training.
#[derive(Clone, Debug)]
pub struct Discriminator {
    layers: Vec<Layer>,
    /// The trained parameters, under their published names.
    pub parameters: Parameters,
    /// Running statistics of batch normalization, and whether each ActNorm is initialized.
    pub running: Parameters,
}

/// Suffix of the flags that mark an ActNorm as initialized.
const FIXED: &str = ".initialized";

impl Discriminator {
    /// Initial values determined by `seed`, for pictures of side `resolution`.
    ///
    /// # Errors
    /// The resolution is too low for the number of layers.
    pub fn initial(arch: &DiscArch, resolution: usize, seed: u32, device: &Device) -> Result<Self> {
        let layers = layers(arch);
        let smaller =
            |size: usize, layer: &Layer| (size + 2).checked_sub(KERNEL).map(|n| n / layer.stride + 1);
        let left = layers.iter().try_fold(resolution, smaller);
        if left.is_none_or(|left| left == 0) {
            return Err(Error::invalid(format!(
                "gan.disc.arch.num_layers: expected fewer for pictures of {resolution} pixels, found {}",
                arch.num_layers
            )));
        }
        let list: Vec<Parameter> = layers.iter().flat_map(Layer::parameters).collect();
        let running: Vec<Parameter> = layers.iter().flat_map(Layer::running).collect();
        let parameters = Parameters::new(&list, device, |parameter| initial(parameter, &list, seed));
        let running = Parameters::new(&running, device, |parameter| {
            let variance = parameter.name.ends_with("running_var");
            vec![if variance { 1.0 } else { 0.0 }; parameter.shape.iter().product()]
        });
        Ok(Self { layers, parameters, running })
    }

    /// Logits `[B, 1, h, w]` of pictures `[B, in_channels, H, W]`, with `parameters`, which may track
    /// gradients.
    pub fn logits(&mut self, parameters: &Named, images: Tensor<4>, mode: Mode<'_>) -> Tensor<4> {
        let mut x = images.autodiff();
        for layer in &self.layers {
            x = layer.convolve(x, parameters);
            if let Some(norm) = layer.norm {
                x = norm.apply(x, parameters, &mut self.running, layer.place + 1, mode);
            }
            x = layer.activate(x);
        }
        x
    }

    /// Initializes ActNorms from a batch, of which `images` `[B, in_channels, H, W]` are this rank's `share`,
    /// unless that has been done.
    pub fn fix(&mut self, images: &Tensor<4>, share: &RankShare) {
        let is_fixed =
            |(name, value): (&String, &Tensor<1>)| !name.ends_with(FIXED) || values(value.clone())[0] > 0.0;
        if self.running.values().iter().all(is_fixed) {
            return;
        }
        let mut x = images.clone().autodiff();
        for layer in &self.layers {
            x = layer.convolve(x, self.parameters.values());
            if let Some(norm) = layer.norm {
                let place = layer.place + 1;
                let [shift, factor] = fixed_by(&x.clone().inner(), share);
                self.running.set(&format!("main.{place}{FIXED}"), Tensor::ones([1], &shift.device()));
                self.parameters.set(&format!("main.{place}.loc"), shift);
                self.parameters.set(&format!("main.{place}.scale"), factor);
                let mode = Mode::Training(share);
                x = norm.apply(x, self.parameters.values(), &mut self.running, place, mode);
            }
            x = layer.activate(x);
        }
    }

    /// Takes the tensors of `file` whose name, after `prefix`, and shape match. Returns the names of the
    /// other parameters.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn take(&mut self, file: &WeightFile, prefix: &str) -> Result<Vec<String>> {
        let mut others = self.parameters.take(file, prefix)?;
        others.extend(self.running.take(file, prefix)?);
        Ok(others)
    }
}

impl Layer {
    /// A convolution before batch normalization needs no bias.
    fn has_bias(&self) -> bool {
        self.norm != Some(Norm::Batch)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let [from, to] = self.channels;
        let named =
            |kind: &str, shape: Vec<usize>| Parameter { name: format!("main.{}.{kind}", self.place), shape };
        let mut all = vec![named("weight", vec![to, from, KERNEL, KERNEL])];
        all.extend(self.has_bias().then(|| named("bias", vec![to])));
        all.extend(self.norm.into_iter().flat_map(|norm| norm.parameters(self.place + 1, to)));
        all
    }

    fn running(&self) -> Vec<Parameter> {
        self.norm.into_iter().flat_map(|norm| norm.running(self.place + 1, self.channels[1])).collect()
    }

    fn convolve(&self, x: Tensor<4>, parameters: &Named) -> Tensor<4> {
        let of = |kind: &str| parameters[&format!("main.{}.{kind}", self.place)].clone().autodiff();
        let [from, to] = self.channels;
        let weight = of("weight").reshape([to, from, KERNEL, KERNEL]);
        let options = ConvOptions::new([self.stride; 2], [1, 1], [1, 1], 1);
        conv2d(x, weight, self.has_bias().then(|| of("bias")), options)
    }

    /// The last layer's outputs are the logits, without an activation.
    fn activate(&self, x: Tensor<4>) -> Tensor<4> {
        if self.is_last { x } else { leaky_relu(x, SLOPE) }
    }
}

/// The published layers: `num_layers` that halve the resolution, two that do not.
fn layers(arch: &DiscArch) -> Vec<Layer> {
    let width = |n: usize| arch.ndf * (1 << n).min(WIDEST);
    let count = arch.num_layers;
    let norm = Some(if arch.use_actnorm { Norm::Act } else { Norm::Batch });
    let first =
        Layer { place: 0, channels: [arch.in_channels, width(0)], stride: 2, norm: None, is_last: false };
    let middle = (1..=count).map(|n| Layer {
        place: 3 * n - 1,
        channels: [width(n - 1), width(n)],
        stride: if n < count { 2 } else { 1 },
        norm,
        is_last: false,
    });
    let last =
        Layer { place: 3 * count + 2, channels: [width(count), 1], stride: 1, norm: None, is_last: true };
    std::iter::once(first).chain(middle).chain(std::iter::once(last)).collect()
}

/// Initial values: weights are normally distributed around 0, scales of batch norms around 1; biases of
/// convolutions are PyTorch's, uniform within 1 / sqrt(fan_in); scales of ActNorms are 1.
fn initial(parameter: &Parameter, list: &[Parameter], seed: u32) -> Vec<f32> {
    let stream = super::stream(&format!("discriminator.{}", parameter.name));
    let draw = |i: u32| normal([seed, stream, i, 0]);
    let count = parameter.shape.iter().product::<usize>() as u32;
    let path = parameter.name.trim_end_matches("bias");
    let weight = list.iter().find(|other| other.name == format!("{path}weight"));
    let inputs = weight.map_or(1, |weight| weight.shape[1..].iter().product::<usize>());
    match (parameter.name.ends_with(".weight"), parameter.shape.len()) {
        (true, 1) => (0..count).map(|i| 1.0 + SPREAD * draw(i)).collect(),
        (true, _) => (0..count).map(|i| SPREAD * draw(i)).collect(),
        (false, _) if parameter.name.ends_with(".scale") => vec![1.0; count as usize],
        (false, _) if inputs > 1 => {
            let bound = (inputs as f32).powf(-0.5);
            (0..count).map(|i| bound * (2.0 * uniform([seed, stream, i, 0]) - 1.0)).collect()
        }
        (false, _) => vec![0.0; count as usize],
    }
}

impl DiscLoss {
    /// The loss, one element, for the logits `[B, 1, h, w]` of pictures and of reconstructions.
    pub fn of(self, real: Tensor<4>, made: Tensor<4>) -> Tensor<1> {
        let [real, made] = match self {
            Self::Hinge => [relu(-real + 1.0), relu(made + 1.0)],
            Self::Vanilla => [softplus(-real, 1.0), softplus(made, 1.0)],
        };
        (real.mean() + made.mean()) * 0.5
    }
}

impl GenLoss {
    /// The loss, one element, for the logits `[B, 1, h, w]` of reconstructions.
    pub fn of(self, made: Tensor<4>) -> Tensor<1> {
        match self {
            Self::Vanilla => -made.mean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Gradients;
    use burn::tensor::TensorData;
    use residua_core::config::StateKind;
    use residua_kernels::device::{DeviceChoice, open};
    use residua_kernels::values;
    use residua_testing::assert_close;
    use residua_weights::WeightFile;
    use std::path::Path;

    fn arch() -> DiscArch {
        DiscArch { num_layers: 2, ndf: 4, ..DiscArch::default() }
    }

    fn golden() -> WeightFile {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .join("tests/fixtures/training/gan.safetensors");
        WeightFile::open(&path, StateKind::Auto).unwrap()
    }

    fn read(golden: &WeightFile, device: &Device) -> Discriminator {
        let mut read = Discriminator::initial(&arch(), 16, 1, device).unwrap();
        read.parameters = Parameters::read(&read.parameters.list(), golden, "before.", device).unwrap();
        read
    }

    fn images(golden: &WeightFile, name: &str, device: &Device) -> Tensor<4> {
        let shape = golden.get(name).unwrap().shape.clone();
        Tensor::from_data(TensorData::new(golden.read_f32(name).unwrap(), shape), device)
    }

    fn assert_all(found: &Named, golden: &WeightFile, prefix: &str) {
        assert!(!found.is_empty());
        for (name, found) in found {
            assert_close(&values(found.clone()), &golden.read_f32(&format!("{prefix}{name}")).unwrap(), 1e-4);
        }
    }

    #[test]
    fn logits_losses_gradients_and_statistics_match_pytorch() {
        let (golden, alone) = (golden(), RankShare::alone());
        for device in [Device::flex(), open(DeviceChoice::Gpu).unwrap()] {
            let mut discriminator = read(&golden, &device);
            let [real, made] = ["real", "made"].map(|name| images(&golden, name, &device));
            let close = |found: Tensor<1>, name: &str| {
                assert_close(&values(found), &golden.read_f32(name).unwrap(), 1e-4);
            };

            // Generator: gradients with respect to the images.
            let seen = made.clone().autodiff().require_grad();
            let constants = discriminator.parameters.values().clone();
            let logits = discriminator.logits(&constants, seen.clone(), Mode::Training(&alone));
            close(logits.clone().inner().flatten(0, 3), "generator.logits");
            let loss = GenLoss::Vanilla.of(logits);
            close(loss.clone().inner(), "generator.loss");
            let gradient = seen.grad(&loss.backward()).unwrap();
            close(gradient.flatten(0, 3), "generator.gradient");

            // Discriminator: gradients with respect to its parameters.
            let tracked = discriminator.parameters.tracked();
            let made = discriminator.logits(&tracked, made, Mode::Training(&alone));
            let real = discriminator.logits(&tracked, real, Mode::Training(&alone));
            close(real.clone().inner().flatten(0, 3), "discriminator.logits");
            close(DiscLoss::Vanilla.of(real.clone(), made.clone()).inner(), "discriminator.vanilla");
            let loss = DiscLoss::Hinge.of(real, made);
            close(loss.clone().inner(), "discriminator.loss");
            let gradients = Gradients::of(&loss, &tracked);
            let found = tracked.keys().map(|name| (name.clone(), gradients.get(name).unwrap().clone()));
            assert_all(&found.collect(), &golden, "gradient.");
            assert_all(discriminator.running.values(), &golden, "after.");
        }
    }

    /// As in the published discriminator, the first batch initializes each ActNorm, once.
    #[test]
    fn act_norms_match_the_published_discriminator() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .join("tests/fixtures/training/actnorm.safetensors");
        let golden = WeightFile::open(&path, StateKind::Auto).unwrap();
        for device in [Device::flex(), open(DeviceChoice::Gpu).unwrap()] {
            let arch = DiscArch { use_actnorm: true, ..arch() };
            let mut discriminator = Discriminator::initial(&arch, 16, 1, &device).unwrap();
            let list = discriminator.parameters.list();
            discriminator.parameters = Parameters::read(&list, &golden, "before.", &device).unwrap();
            discriminator.fix(&images(&golden, "real", &device), &RankShare::alone());
            assert_all(discriminator.parameters.values(), &golden, "fixed.");
            let made = images(&golden, "made", &device);
            discriminator.fix(&made, &RankShare::alone());
            assert_all(discriminator.parameters.values(), &golden, "fixed.");

            let tracked = discriminator.parameters.tracked();
            let alone = RankShare::alone();
            let logits = discriminator.logits(&tracked, made, Mode::Training(&alone));
            let found = values(logits.clone().inner().flatten::<1>(0, 3));
            assert_close(&found, &golden.read_f32("logits").unwrap(), 1e-4);
            let gradients = Gradients::of(&logits.powi_scalar(2).mean(), &tracked);
            let found = tracked.keys().map(|name| (name.clone(), gradients.get(name).unwrap().clone()));
            assert_all(&found.collect(), &golden, "gradient.");
        }
    }

    #[test]
    fn it_is_initialized_as_published() {
        let device = Device::flex();
        let arch = DiscArch { num_layers: 2, ndf: 64, ..DiscArch::default() };
        let discriminator = Discriminator::initial(&arch, 256, 1, &device).unwrap();
        let spread = |name: &str, around: f64| {
            let numbers = values(discriminator.parameters.get(name));
            (numbers.iter().map(|x| (f64::from(*x) - around).powi(2)).sum::<f64>() / numbers.len() as f64)
                .sqrt()
        };
        assert!((spread("main.2.weight", 0.0) - 0.02).abs() < 1e-3);
        assert!((spread("main.3.weight", 1.0) - 0.02).abs() < 5e-3);
        assert_eq!(spread("main.3.bias", 0.0), 0.0);
        assert!(spread("main.0.bias", 0.0) > 0.05);
        // Kernels 3x64, 64x128, 128x256 and the last one to a single logit; two norms; the biases of the
        // others.
        let kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256);
        assert_eq!(discriminator.parameters.count(), kernels + 64 + 2 * 128 + 2 * 256 + 1);
        let large = DiscArch { num_layers: 4, ..arch };
        let error = Discriminator::initial(&large, 16, 1, &device).unwrap_err().to_string();
        assert!(error.contains("num_layers: expected fewer"), "{error}");
    }
}
