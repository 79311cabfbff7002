//! Softmax over rows, the cross entropy of rows of logits and target distributions, and its gradient.

use rayon::prelude::*;

use super::activation::exp;
use super::layer_norm::sum;
use super::memory::zeros;
use super::vector::Instructions;

/// Rows per task, and values per partial sum.
const PIECE: usize = 16;

/// `softmax(factor x)` of each row of `x` `[rows, width]`.
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn softmax(x: &[f32], width: usize, factor: f32) -> Vec<f32> {
    let mut out = zeros(x.len());
    by_rows(x, x, &mut out, [width, width], |x, _, out| softmax_row(x, factor, out));
    out
}

#[inline(always)]
fn softmax_row(x: &[f32], factor: f32, out: &mut [f32]) {
    let largest = x.iter().map(|&x| factor * x).fold(f32::NEG_INFINITY, f32::max);
    for (out, &x) in out.iter_mut().zip(x) {
        *out = exp(factor * x - largest);
    }
    let scale = 1.0 / sum(out, |p| p);
    out.iter_mut().for_each(|p| *p *= scale);
}

/// `-sum_k target[k] log softmax(logits)[k]` for each row. Both inputs are `[rows, width]`, and the result is
/// `[rows]`. A logit of minus infinity with a target of 0 adds nothing.
///
/// # Panics
/// If the lengths do not match.
pub fn cross_entropy(logits: &[f32], target: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; logits.len() / width];
    by_rows(logits, target, &mut out, [width, 1], |logits, target, out| out[0] = row(logits, target));
    out
}

#[inline(always)]
fn row(logits: &[f32], target: &[f32]) -> f32 {
    let normalizer = normalizer(logits);
    let mut total = 0.0f64;
    for (logits, target) in logits.chunks(PIECE).zip(target.chunks(PIECE)) {
        let mut part = 0.0;
        for (&logit, &target) in logits.iter().zip(target) {
            let likelihood = if target == 0.0 { 0.0 } else { (logit - normalizer).max(f32::MIN) };
            part -= target * likelihood;
        }
        total += f64::from(part);
    }
    total as f32
}

/// The gradient of [`cross_entropy`] with respect to the logits, from the gradient `dy` `[rows]` of its
/// result.
///
/// # Panics
/// If the lengths do not match.
pub fn cross_entropy_gradient(logits: &[f32], target: &[f32], dy: &[f32]) -> Vec<f32> {
    assert!(!dy.is_empty() && logits.len().is_multiple_of(dy.len()), "expected one gradient per row");
    let width = logits.len() / dy.len();
    let mut out = zeros(logits.len());
    by_rows(logits, target, &mut out, [width, width], slopes);
    let rows = out.par_chunks_mut(width).zip(dy).with_min_len(PIECE);
    rows.for_each(|(row, dy)| row.iter_mut().for_each(|out| *out *= dy));
    out
}

#[inline(always)]
fn slopes(logits: &[f32], target: &[f32], out: &mut [f32]) {
    let normalizer = normalizer(logits);
    let weight = sum(target, |target| target);
    for ((out, &logit), &target) in out.iter_mut().zip(logits).zip(target) {
        *out = weight * exp(logit - normalizer) - target;
    }
}

/// The logarithm of the sum of the exponentials.
#[inline(always)]
fn normalizer(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + sum(logits, |logit| exp(logit - largest)).ln()
}

/// Runs `f` on each row of `a` and `b`, `width` values each, and of `out`, `out_width` values each.
fn by_rows(
    a: &[f32],
    b: &[f32],
    out: &mut [f32],
    [width, out_width]: [usize; 2],
    f: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
) {
    assert_eq!(a.len(), b.len(), "a and b differ in length");
    assert!(width > 0 && a.len().is_multiple_of(width), "expected whole rows of {width}");
    let instructions = Instructions::best();
    let pieces = a.par_chunks(PIECE * width).zip(b.par_chunks(PIECE * width));
    pieces.zip(out.par_chunks_mut(PIECE * out_width)).for_each(|((a, b), out)| {
        instructions.run(
            #[inline(always)]
            || {
                let rows = a.chunks_exact(width).zip(b.chunks_exact(width));
                for ((a, b), out) in rows.zip(out.chunks_exact_mut(out_width)) {
                    f(a, b, out);
                }
            },
        );
    });
}
