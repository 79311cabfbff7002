//! Group normalization on the CPU, with SiLU in the same pass.

use rayon::prelude::*;

use super::activation::exp;
use super::layer_norm::sum;
use super::memory::zeros;
use super::vector::Instructions;

/// Normalizes each group of channels of `x` `[batch, channels, spatial]` to mean 0 and variance 1, then
/// scales and shifts each channel by `gamma` and `beta` `[channels]`. With `silu`, each result `y` becomes
/// `y sigmoid(y)`.
///
/// `eps` is added to the (biased) variance. Runs on the current thread pool.
///
/// # Panics
/// If the lengths do not match, or `groups` does not divide `channels`.
#[expect(clippy::too_many_arguments, reason = "the sizes of a tensor and the operation's own parameters")]
pub fn group_norm(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    batch: usize,
    channels: usize,
    spatial: usize,
    groups: usize,
    eps: f32,
    silu: bool,
) -> Vec<f32> {
    assert_eq!(x.len(), batch * channels * spatial, "length of the input");
    assert_eq!(
        (gamma.len(), beta.len()),
        (channels, channels),
        "expected one scale and one shift per channel"
    );
    assert!(groups > 0 && channels.is_multiple_of(groups), "{groups} groups of {channels} channels");
    let mut out = zeros(x.len());
    if x.is_empty() {
        return out;
    }
    let members = channels / groups;
    let size = members * spatial;
    let instructions = Instructions::best();
    out.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().with_max_len(1).for_each(|(i, (out, x))| {
        let first = i % groups * members;
        let (gamma, beta) = (&gamma[first..][..members], &beta[first..][..members]);
        instructions.run(
            #[inline(always)]
            || normalize(x, gamma, beta, eps, silu, out),
        );
    });
    out
}

/// Normalizes one group of `gamma.len()` channels.
#[inline(always)]
fn normalize(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, silu: bool, out: &mut [f32]) {
    let (mean, inverse) = statistics(x, eps);
    let spatial = x.len() / gamma.len();
    let channels = x.chunks_exact(spatial).zip(out.chunks_exact_mut(spatial));
    for ((x, out), (gamma, &shift)) in channels.zip(gamma.iter().zip(beta)) {
        affine(x, mean, inverse * gamma, shift, silu, out);
    }
}

/// The mean of `x` and one over its standard deviation.
#[inline(always)]
pub(super) fn statistics(x: &[f32], eps: f32) -> (f32, f32) {
    let size = x.len() as f64;
    let mean = (total(x, |x| x) / size) as f32;
    let variance = total(x, |x| (x - mean) * (x - mean)) / size;
    (mean, (1.0 / (variance + f64::from(eps)).sqrt()) as f32)
}

/// The sum of `f` over `values`: single precision within short pieces, double precision across them.
#[inline(always)]
fn total(values: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut total = 0.0;
    for piece in values.chunks(2048) {
        total += f64::from(sum(piece, &f));
    }
    total
}

/// `(x - mean) scale + shift`, then optionally SiLU.
#[inline(always)]
fn affine(x: &[f32], mean: f32, scale: f32, shift: f32, silu: bool, out: &mut [f32]) {
    let line = |x: f32| (x - mean) * scale + shift;
    if silu {
        for (out, &x) in out.iter_mut().zip(x) {
            let y = line(x);
            *out = y / (1.0 + exp(-y));
        }
    } else {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = line(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::noise::{noise, relative_error};

    /// The definition in double precision.
    fn defined(
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        spatial: usize,
        groups: usize,
        silu: bool,
    ) -> Vec<f64> {
        let (channels, mut out) = (gamma.len(), Vec::new());
        for (number, group) in x.chunks(channels / groups * spatial).enumerate() {
            let size = group.len() as f64;
            let mean = group.iter().map(|&x| f64::from(x)).sum::<f64>() / size;
            let variance = group.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / size;
            for (i, &x) in group.iter().enumerate() {
                let channel = number % groups * (channels / groups) + i / spatial;
                let unit = (f64::from(x) - mean) / (variance + 1e-6).sqrt();
                let y = unit * f64::from(gamma[channel]) + f64::from(beta[channel]);
                out.push(if silu { y / (1.0 + (-y).exp()) } else { y });
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn matches_the_definition(
            batch in 1_usize..4,
            members in 1_usize..5,
            groups in 1_usize..9,
            spatial in 1_usize..700,
            offset in -3.0_f32..3.0,
            silu: bool,
        ) {
            let channels = members * groups;
            let x: Vec<f32> = noise(batch * channels * spatial, 1).into_iter().map(|x| x + offset).collect();
            let (gamma, beta) = (noise(channels, 2), noise(channels, 3));
            let found = group_norm(&x, &gamma, &beta, batch, channels, spatial, groups, 1e-6, silu);
            let expected = defined(&x, &gamma, &beta, spatial, groups, silu);
            let error = relative_error(&found, &expected, 1.0);
            prop_assert!(error.is_finite() && error < 2e-5, "off by {error}");
        }
    }

    #[test]
    fn a_large_mean_does_not_swallow_the_variance() {
        let x: Vec<f32> = noise(65_536, 1).into_iter().map(|x| 100.0 + 0.01 * x).collect();
        let found = group_norm(&x, &[1.0], &[0.0], 1, 1, x.len(), 1, 1e-6, false);
        let expected = defined(&x, &[1.0], &[0.0], x.len(), 1, false);
        let error = relative_error(&found, &expected, 1.0);
        assert!(error < 2e-3, "off by {error}");
    }

    #[test]
    fn silu_is_right_at_the_extremes() {
        let x: Vec<f32> = (-200..=200).map(|x| x as f32).collect();
        let mut found = vec![f32::NAN; x.len()];
        for instructions in Instructions::all() {
            instructions.run(|| affine(&x, 0.0, 1.0, 0.0, true, &mut found));
            for (&x, &found) in x.iter().zip(&found) {
                let expected = f64::from(x) / (1.0 + f64::from(-x).exp());
                assert!(
                    (f64::from(found) - expected).abs() <= 1e-6 * expected.abs() + 1e-35,
                    "{instructions:?}: silu({x}) = {found}"
                );
            }
        }
    }
}
