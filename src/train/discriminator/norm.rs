//! The norms of a discriminator: by the statistics of a batch, or fixed by the first pictures and learned from then on
//! (ActNorm; Kingma and Dhariwal, arXiv 1807.03039, section 3.1).

use burn::tensor::Tensor;

use crate::checkpoint::Parameter;
use crate::train::parameters::{Named, Parameters};

/// Added to the variances of batch norms.
const EPSILON: f64 = 1e-5;

/// Added to the deviations that an ActNorm begins with.
const DEVIATION: f64 = 1e-6;

/// How much of the running statistics goes in a pass.
const MOMENTUM: f64 = 0.1;

/// Which norms a discriminator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// By the mean and the variance of a batch.
    Batch,
    /// By a shift and a factor of each channel, which begin as those that normalize the first batch.
    Act,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To learn from it: batch norms take the statistics of the batch, and remember them.
    Training,
    /// To measure: they take what they remember.
    Measuring,
}

impl Norm {
    /// What gradients change of the norm at `place`, which has `channels`; by published names.
    pub fn parameters(self, place: usize, channels: usize) -> Vec<Parameter> {
        match self {
            Self::Batch => named(place, &["weight", "bias"], &[channels]),
            Self::Act => named(place, &["loc", "scale"], &[1, channels, 1, 1]),
        }
    }

    /// What it remembers besides.
    pub fn running(self, place: usize, channels: usize) -> Vec<Parameter> {
        match self {
            Self::Batch => named(place, &["running_mean", "running_var"], &[channels]),
            Self::Act => named(place, &["initialized"], &[]),
        }
    }

    /// Normalizes `x` `[B, C, H, W]` by the values of `parameters` at `place`, which may be tracked, and by `running`.
    ///
    /// # Panics
    /// They are of another discriminator.
    pub fn apply(
        self,
        x: Tensor<4>,
        parameters: &Named,
        running: &mut Parameters,
        place: usize,
        mode: Mode,
    ) -> Tensor<4> {
        let channels = x.dims()[1];
        let of = |kind: &str| {
            let value = parameters[&format!("main.{place}.{kind}")].clone().autodiff();
            value.reshape([1, channels, 1, 1])
        };
        match self {
            Self::Batch => {
                let normed = match mode {
                    Mode::Training => by_batch(x, running, place),
                    Mode::Measuring => by_memory(x, running, place),
                };
                normed * of("weight") + of("bias")
            }
            Self::Act => (x + of("loc")) * of("scale"),
        }
    }
}

/// The shift and the factor with which an ActNorm normalizes `x` `[B, C, H, W]`, `[C]` both.
pub fn fixed_by(x: &Tensor<4>) -> [Tensor<1>; 2] {
    let [images, channels, height, width] = x.dims();
    let count = (images * height * width) as f64;
    let mean = by_channel(x.clone());
    let variance = by_channel((x.clone() - mean.clone()).powi_scalar(2)) * (count / (count - 1.0).max(1.0));
    [-mean, (variance.sqrt() + DEVIATION).recip()].map(|values| values.reshape([channels]))
}

/// `x` by its own mean and variance, which `running` of the norm at `place` follows.
fn by_batch(x: Tensor<4>, running: &mut Parameters, place: usize) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    let mean = by_channel(x.clone());
    let centred = x - mean.clone();
    let variance = by_channel(centred.clone().powi_scalar(2));
    let count = (images * height * width) as f64;
    // The variance of what the pictures are a sample of.
    let unbiased = variance.clone().inner() * (count / (count - 1.0).max(1.0));
    for (kind, seen) in [("mean", mean.inner()), ("var", unbiased)] {
        let name = format!("main.{place}.running_{kind}");
        let moved = running.get(&name) * (1.0 - MOMENTUM) + seen.reshape([channels]) * MOMENTUM;
        running.set(&name, moved);
    }
    centred / (variance + EPSILON).sqrt()
}

/// `x` by the mean and the variance that the norm at `place` remembers.
fn by_memory(x: Tensor<4>, running: &Parameters, place: usize) -> Tensor<4> {
    let channels = x.dims()[1];
    let [mean, variance] = ["mean", "var"].map(|kind| {
        running.get(&format!("main.{place}.running_{kind}")).reshape([1, channels, 1, 1]).autodiff()
    });
    (x - mean) / (variance + EPSILON).sqrt()
}

fn by_channel(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).mean_dim(2).mean_dim(0)
}

fn named(place: usize, kinds: &[&str], shape: &[usize]) -> Vec<Parameter> {
    let parameter = |kind: &&str| Parameter { name: format!("main.{place}.{kind}"), shape: shape.to_vec() };
    kinds.iter().map(parameter).collect()
}
