//! The gradient of attention over whole sequences.

use std::ops::Range;

use rayon::prelude::*;

use super::activation::exp;
use super::attention::Reach;
use super::layer_norm::{product, sum};
use super::memory::zeros;
use super::vector::Instructions;

/// The gradient of [`super::attention::attention`] over whole sequences with respect to `qkv`
/// `[batch, n, 3, heads, head_dim]`, from the gradient `dy` `[batch, n, heads, head_dim]` of its result.
/// `sizes` are `n`, `heads` and `head_dim`. `reach` is what each position attends to.
///
/// # Panics
/// If the lengths do not match or a size is zero.
pub fn attention_gradient(qkv: &[f32], dy: &[f32], sizes: [usize; 3], reach: Reach) -> Vec<f32> {
    let size = sizes.iter().product::<usize>();
    assert!(size > 0 && dy.len().is_multiple_of(size), "dy must be whole sequences of {sizes:?}");
    assert_eq!(qkv.len(), 3 * dy.len(), "qkv must be three times as long as dy");
    let mut out = zeros(qkv.len());
    let instructions = Instructions::best();
    let sequences = qkv.par_chunks(3 * size).zip(dy.par_chunks(size)).zip(out.par_chunks_mut(3 * size));
    let scratch = || vec![0.0; 2 * sizes[0]];
    sequences.with_min_len(8).for_each_init(scratch, |scratch, ((qkv, dy), out)| {
        instructions.run(
            #[inline(always)]
            || {
                for head in 0..sizes[1] {
                    Head { sizes, head, reach }.gradient(qkv, dy, out, scratch);
                }
            },
        );
    });
    out
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Head {
    sizes: [usize; 3],
    head: usize,
    reach: Reach,
}

impl Head {
    /// Range of the query (0), key (1) or value (2) of a position.
    #[inline(always)]
    fn part(self, position: usize, part: usize) -> Range<usize> {
        let [_, heads, head_dim] = self.sizes;
        let first = ((position * 3 + part) * heads + self.head) * head_dim;
        first..first + head_dim
    }

    #[inline(always)]
    fn gradient(self, qkv: &[f32], dy: &[f32], out: &mut [f32], scratch: &mut [f32]) {
        let [n, heads, head_dim] = self.sizes;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let (weights, slopes) = scratch.split_at_mut(n);
        for i in 0..n {
            let query = &qkv[self.part(i, 0)];
            let dy = &dy[(i * heads + self.head) * head_dim..][..head_dim];
            let seen = match self.reach {
                Reach::Before => i + 1,
                Reach::All => n,
            };
            let (weights, slopes) = (&mut weights[..seen], &mut slopes[..seen]);
            for (j, (weight, slope)) in weights.iter_mut().zip(slopes.iter_mut()).enumerate() {
                *weight = scale * product(query, &qkv[self.part(j, 1)], |x| x);
                *slope = product(dy, &qkv[self.part(j, 2)], |x| x);
            }
            softmax(weights);
            let mean = product(weights, slopes, |x| x);
            for (j, (&weight, &slope)) in weights.iter().zip(slopes.iter()).enumerate() {
                let slope = scale * weight * (slope - mean);
                add(&mut out[self.part(j, 2)], dy, weight);
                add(&mut out[self.part(j, 1)], query, slope);
                add(&mut out[self.part(i, 0)], &qkv[self.part(j, 1)], slope);
            }
        }
    }
}

#[inline(always)]
fn softmax(weights: &mut [f32]) {
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.iter_mut().for_each(|weight| *weight = exp(*weight - largest));
    let total = sum(weights, |weight| weight);
    weights.iter_mut().for_each(|weight| *weight /= total);
}

/// Adds `factor` times `x` to `to`.
#[inline(always)]
fn add(to: &mut [f32], x: &[f32], factor: f32) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}
