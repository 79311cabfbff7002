//! Normalization in the discriminator: batch normalization, or ActNorm, which the first batch initializes and
//! training then learns (Kingma and Dhariwal, arXiv 1807.03039, section 3.1).

use burn::tensor::Tensor;

use crate::parameters::{Named, Parameters};
use crate::rank_share::RankShare;
use residua_model::Parameter;

/// Added to the variance in batch normalization.
const EPSILON: f64 = 1e-5;

/// Added to the standard deviation when an ActNorm is initialized.
const DEVIATION: f64 = 1e-6;

/// Momentum of the running statistics: the share of the new batch.
const MOMENTUM: f64 = 0.1;

/// The kind of normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Batch normalization.
    Batch,
    /// ActNorm: a shift and a scale per channel, initialized to normalize the first batch.
    Act,
}

/// The purpose of a forward pass.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// Training: batch normalization uses the statistics of the batch, of which this process may have only a share, and
    /// updates the running ones.
    Training(&'a RankShare),
    /// Evaluation: batch normalization uses the running statistics.
    Measuring,
}

impl Norm {
    /// The trained parameters of the norm at `place` with `channels`, under their published names.
    pub fn parameters(self, place: usize, channels: usize) -> Vec<Parameter> {
        match self {
            Self::Batch => named(place, &["weight", "bias"], &[channels]),
            Self::Act => named(place, &["loc", "scale"], &[1, channels, 1, 1]),
        }
    }

    /// The norm's other state.
    pub fn running(self, place: usize, channels: usize) -> Vec<Parameter> {
        match self {
            Self::Batch => named(place, &["running_mean", "running_var"], &[channels]),
            Self::Act => named(place, &["initialized"], &[]),
        }
    }

    /// Normalizes `x` `[B, C, H, W]` with the `parameters` of the norm at `place`, which may track gradients,
    /// and with `running`.
    ///
    /// # Panics
    /// The parameters belong to another discriminator.
    pub fn apply(
        self,
        x: Tensor<4>,
        parameters: &Named,
        running: &mut Parameters,
        place: usize,
        mode: Mode<'_>,
    ) -> Tensor<4> {
        let channels = x.dims()[1];
        let of = |kind: &str| {
            let value = parameters[&format!("main.{place}.{kind}")].clone().autodiff();
            value.reshape([1, channels, 1, 1])
        };
        match self {
            Self::Batch => {
                let normed = match mode {
                    Mode::Training(share) => by_batch(x, running, place, share),
                    Mode::Measuring => by_memory(x, running, place),
                };
                normed * of("weight") + of("bias")
            }
            Self::Act => (x + of("loc")) * of("scale"),
        }
    }
}

/// The shift and the scale, both `[C]`, with which ActNorm normalizes a batch, of which `x` `[B, C, H, W]` is
/// this rank's `share`.
pub fn fixed_by(x: &Tensor<4>, share: &RankShare) -> [Tensor<1>; 2] {
    let channels = x.dims()[1];
    let mean = share.mean(by_channel(x.clone()));
    let variance =
        share.mean(by_channel((x.clone() - mean.clone()).powi_scalar(2))) * bessel_correction(x, share);
    [-mean, (variance.sqrt() + DEVIATION).recip()].map(|values| values.reshape([channels]))
}

/// Normalizes `x` with the statistics of the batch of which it is a `share`, and updates those in `running` for the norm at
/// `place`.
fn by_batch(x: Tensor<4>, running: &mut Parameters, place: usize, share: &RankShare) -> Tensor<4> {
    let channels = x.dims()[1];
    // Running statistics use the unbiased variance.
    let correction = bessel_correction(&x, share);
    let mean = share.mean(by_channel(x.clone()));
    let centred = x - mean.clone();
    let variance = share.mean(by_channel(centred.clone().powi_scalar(2)));
    let unbiased = variance.clone().inner() * correction;
    for (kind, seen) in [("mean", mean.inner()), ("var", unbiased)] {
        let name = format!("main.{place}.running_{kind}");
        let moved = running.get(&name) * (1.0 - MOMENTUM) + seen.reshape([channels]) * MOMENTUM;
        running.set(&name, moved);
    }
    centred / (variance + EPSILON).sqrt()
}

/// Normalizes `x` with the running statistics of the norm at `place`.
fn by_memory(x: Tensor<4>, running: &Parameters, place: usize) -> Tensor<4> {
    let channels = x.dims()[1];
    let [mean, variance] = ["mean", "var"].map(|kind| {
        running.get(&format!("main.{place}.running_{kind}")).reshape([1, channels, 1, 1]).autodiff()
    });
    (x - mean) / (variance + EPSILON).sqrt()
}

/// Bessel's correction `n / (n - 1)` for the per-channel variance of a batch, of which `x` is this rank's
/// `share`.
fn bessel_correction(x: &Tensor<4>, share: &RankShare) -> f64 {
    let [images, _, height, width] = x.dims();
    let count = (images * height * width) as f64 / share.weight();
    count / (count - 1.0).max(1.0)
}

fn by_channel(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).mean_dim(2).mean_dim(0)
}

fn named(place: usize, kinds: &[&str], shape: &[usize]) -> Vec<Parameter> {
    let parameter = |kind: &&str| Parameter { name: format!("main.{place}.{kind}"), shape: shape.to_vec() };
    kinds.iter().map(parameter).collect()
}
