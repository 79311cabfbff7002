//! Gradients of group normalization with optional SiLU.

use rayon::prelude::*;

use super::activation::exp;
use super::group_norm::statistics;
use super::memory::zeros;
use super::vector::{Instructions, WIDEST};

/// Sizes and settings of a group normalization; see [`super::group_norm::group_norm`].
#[derive(Clone, Copy, Debug)]
pub struct NormShape {
    /// Channels per image.
    pub channels: usize,
    /// Pixels per channel.
    pub spatial: usize,
    /// Groups of channels, each normalized separately.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// Gradients of the operands of a group normalization.
pub struct NormGradients {
    /// Gradient of the input `[batch, channels, spatial]`.
    pub x: Vec<f32>,
    /// Gradient of the scales `[channels]`.
    pub gamma: Vec<f32>,
    /// Gradient of the shifts `[channels]`.
    pub beta: Vec<f32>,
}

/// The gradients of [`super::group_norm::group_norm`] of `x` `[batch, channels, spatial]`, from the gradient
/// `dy` of its result, of the same shape.
///
/// Runs on the current thread pool. The result is bit-identical for any number of threads.
///
/// # Panics
/// If the lengths do not match, or the groups do not divide the channels.
pub fn group_norm_gradient(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    dy: &[f32],
    shape: &NormShape,
) -> NormGradients {
    let &NormShape { channels, spatial, groups, .. } = shape;
    assert_eq!(x.len(), dy.len(), "x and dy differ in length");
    assert_eq!(
        (gamma.len(), beta.len()),
        (channels, channels),
        "expected one scale and one shift per channel"
    );
    assert!(groups > 0 && channels.is_multiple_of(groups), "{groups} groups of {channels} channels");
    let mut dx = zeros(x.len());
    if x.is_empty() {
        return NormGradients { x: dx, gamma: vec![0.0; channels], beta: vec![0.0; channels] };
    }
    let members = channels / groups;
    let size = members * spatial;
    assert!(
        x.len().is_multiple_of(channels * spatial),
        "expected whole images of {channels} channels of {spatial} pixels"
    );
    let instructions = Instructions::best();
    let mut sums = vec![Sums::default(); x.len() / spatial];
    let inputs = x.par_chunks(size).zip(dy.par_chunks(size));
    let results = dx.par_chunks_mut(size).zip(sums.par_chunks_mut(members));
    inputs.zip(results).enumerate().with_max_len(1).for_each(|(i, ((x, dy), (dx, sums)))| {
        let first = i % groups * members;
        let (gamma, beta) = (&gamma[first..][..members], &beta[first..][..members]);
        instructions.run(
            #[inline(always)]
            || group(x, gamma, beta, dy, shape, dx, sums),
        );
    });
    let total = |of: fn(&Sums) -> f64| {
        let of_channel =
            |channel: usize| sums.iter().skip(channel).step_by(channels).map(of).sum::<f64>() as f32;
        (0..channels).map(of_channel).collect()
    };
    NormGradients { x: dx, gamma: total(|sums| sums.gradient_by_normal), beta: total(|sums| sums.gradient) }
}

/// Sums over the pixels of one channel of one image.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// Sum of the gradient before SiLU.
    gradient: f64,
    /// Sum of the gradient before SiLU times the normalized input.
    gradient_by_normal: f64,
}

/// Computes the gradients of one group of `gamma.len()` channels.
#[inline(always)]
fn group(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    dy: &[f32],
    shape: &NormShape,
    dx: &mut [f32],
    sums: &mut [Sums],
) {
    let (mean, inverse) = statistics(x, shape.epsilon);
    let spatial = shape.spatial;
    let mut means = [0.0; 2];
    for (i, (&gamma, &beta)) in gamma.iter().zip(beta).enumerate() {
        let pixels = i * spatial..(i + 1) * spatial;
        let line = Line { mean, inverse, gamma, beta };
        sums[i] = line.before_silu(&x[pixels.clone()], &dy[pixels.clone()], shape.silu, &mut dx[pixels]);
        means[0] += f64::from(gamma) * sums[i].gradient;
        means[1] += f64::from(gamma) * sums[i].gradient_by_normal;
    }
    let [shift, slope] = means.map(|sum| (sum / x.len() as f64) as f32);
    for (i, &gamma) in gamma.iter().enumerate() {
        let (x, dx) = (&x[i * spatial..][..spatial], &mut dx[i * spatial..][..spatial]);
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = (gamma * *dx - shift - (x - mean) * inverse * slope) * inverse;
        }
    }
}

/// The normalization of one channel.
#[derive(Clone, Copy)]
struct Line {
    mean: f32,
    inverse: f32,
    gamma: f32,
    beta: f32,
}

impl Line {
    /// Writes the gradient before SiLU and sums it: single precision within short pieces, double precision
    /// across them.
    #[inline(always)]
    fn before_silu(self, x: &[f32], dy: &[f32], silu: bool, out: &mut [f32]) -> Sums {
        const PIECE: usize = 2048;
        let mut sums = Sums::default();
        for ((x, dy), out) in x.chunks(PIECE).zip(dy.chunks(PIECE)).zip(out.chunks_mut(PIECE)) {
            let [gradient, by_normal] =
                if silu { self.piece::<true>(x, dy, out) } else { self.piece::<false>(x, dy, out) };
            sums.gradient += f64::from(gradient);
            sums.gradient_by_normal += f64::from(by_normal);
        }
        sums
    }

    #[inline(always)]
    fn piece<const SILU: bool>(self, x: &[f32], dy: &[f32], out: &mut [f32]) -> [f32; 2] {
        let ((x, x_rest), (dy, dy_rest)) = (x.as_chunks::<WIDEST>(), dy.as_chunks::<WIDEST>());
        let (out, out_rest) = out.as_chunks_mut::<WIDEST>();
        let mut lanes = [[0.0; WIDEST]; 2];
        for ((x, dy), out) in x.iter().zip(dy).zip(out) {
            self.line::<SILU>(x, dy, out, &mut lanes);
        }
        self.line::<SILU>(x_rest, dy_rest, out_rest, &mut lanes);
        lanes.map(|lanes| lanes.iter().sum())
    }

    /// Processes at most [`WIDEST`] pixels.
    #[inline(always)]
    fn line<const SILU: bool>(self, x: &[f32], dy: &[f32], out: &mut [f32], lanes: &mut [[f32; WIDEST]; 2]) {
        let [gradients, by_normals] = lanes;
        let sums = gradients.iter_mut().zip(by_normals);
        for (((&x, &dy), out), (sum, sum_by_normal)) in x.iter().zip(dy).zip(out).zip(sums) {
            let [gradient, by_normal] = self.pixel::<SILU>(x, dy);
            *out = gradient;
            *sum += gradient;
            *sum_by_normal += by_normal;
        }
    }

    /// The gradient before SiLU, and the same times the normalized input.
    #[inline(always)]
    fn pixel<const SILU: bool>(self, x: f32, dy: f32) -> [f32; 2] {
        let normal = (x - self.mean) * self.inverse;
        let gradient = if SILU {
            let y = normal * self.gamma + self.beta;
            let sigmoid = 1.0 / (1.0 + exp(-y));
            dy * sigmoid * (1.0 + y * (1.0 - sigmoid))
        } else {
            dy
        };
        [gradient, gradient * normal]
    }
}
