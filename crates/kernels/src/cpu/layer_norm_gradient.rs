//! Gradients of layer normalization.

use rayon::prelude::*;

use super::layer_norm::{product, sum};
use super::memory::zeros;
use super::vector::Instructions;

/// Rows per task. This alone determines the summation order.
const PIECE: usize = 64;

/// Gradients of the operands of a layer normalization.
pub struct LayerNormGradients {
    /// Gradient of the input `[rows, C]`.
    pub x: Vec<f32>,
    /// Gradient of the scales `[C]`.
    pub gamma: Vec<f32>,
    /// Gradient of the shifts `[C]`.
    pub beta: Vec<f32>,
}

/// The gradients of [`super::layer_norm::layer_norm`] of `x` `[rows, C]`, from the gradient `dy` of its
/// result, of the same shape.
///
/// # Panics
/// If the lengths do not match.
pub fn layer_norm_gradient(x: &[f32], gamma: &[f32], dy: &[f32], eps: f32) -> LayerNormGradients {
    let width = gamma.len();
    assert!(width > 0 && x.len().is_multiple_of(width), "x must be [rows, gamma.len()]");
    assert_eq!(x.len(), dy.len(), "x and dy differ in length");
    let mut dx = zeros(x.len());
    let instructions = Instructions::best();
    let size = PIECE * width;
    let pieces = x.par_chunks(size).zip(dy.par_chunks(size)).zip(dx.par_chunks_mut(size));
    let sums: Vec<Vec<f32>> = pieces
        .map(|((x, dy), dx)| {
            let mut sums = vec![0.0; 2 * width];
            instructions.run(
                #[inline(always)]
                || piece(x, gamma, dy, eps, dx, &mut sums),
            );
            sums
        })
        .collect();
    let total = |i: usize| sums.iter().map(|sums| f64::from(sums[i])).sum::<f64>() as f32;
    LayerNormGradients {
        x: dx,
        gamma: (0..width).map(total).collect(),
        beta: (width..2 * width).map(total).collect(),
    }
}

/// Computes the gradients of some rows. The gradients of the scales, followed by those of the shifts, are
/// added to `sums`.
#[inline(always)]
fn piece(x: &[f32], gamma: &[f32], dy: &[f32], eps: f32, dx: &mut [f32], sums: &mut [f32]) {
    let width = gamma.len();
    let count = width as f32;
    let (for_gamma, for_beta) = sums.split_at_mut(width);
    let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
    for ((x, dy), dx) in rows {
        let mean = sum(x, |x| x) / count;
        let inverse = 1.0 / (sum(x, |x| (x - mean) * (x - mean)) / count + eps).sqrt();
        let normal = |x: f32| (x - mean) * inverse;
        let sums = for_gamma.iter_mut().zip(for_beta.iter_mut());
        for ((&x, &dy), (for_gamma, for_beta)) in x.iter().zip(dy).zip(sums) {
            *for_gamma += dy * normal(x);
            *for_beta += dy;
        }
        for ((dx, &dy), &gamma) in dx.iter_mut().zip(dy).zip(gamma) {
            *dx = dy * gamma;
        }
        let shift = sum(dx, |d| d) / count;
        let slope = product(dx, x, normal) / count;
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = (*dx - shift - normal(x) * slope) * inverse;
        }
    }
}
