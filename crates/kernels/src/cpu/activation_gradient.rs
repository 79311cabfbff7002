//! Standalone activations and their gradients. In training, a linear layer keeps its values from before the
//! activation.

use rayon::prelude::*;

use super::activation::{Activation, gelu, gelu_slope, quick_gelu, quick_gelu_slope};
use super::memory::zeros;
use super::vector::Instructions;

/// Values per task.
const PIECE: usize = 1 << 14;

/// `activation(x)`.
pub fn activate(x: &[f32], activation: Activation) -> Vec<f32> {
    match activation {
        Activation::None => x.to_vec(),
        Activation::Gelu => each(x, x, |x, _| gelu(x)),
        Activation::QuickGelu => each(x, x, |x, _| quick_gelu(x)),
    }
}

/// The gradient of [`activate`] at `x`, from the gradient `dy` of its result, of the same length.
///
/// # Panics
/// If the lengths differ.
pub fn activation_gradient(x: &[f32], dy: &[f32], activation: Activation) -> Vec<f32> {
    assert_eq!(x.len(), dy.len(), "x and dy differ in length");
    match activation {
        Activation::None => dy.to_vec(),
        Activation::Gelu => each(x, dy, |x, dy| dy * gelu_slope(x)),
        Activation::QuickGelu => each(x, dy, |x, dy| dy * quick_gelu_slope(x)),
    }
}

#[inline(always)]
fn each(x: &[f32], dy: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = zeros(x.len());
    let instructions = Instructions::best();
    let pieces = x.par_chunks(PIECE).zip(dy.par_chunks(PIECE)).zip(out.par_chunks_mut(PIECE));
    pieces.for_each(|((x, dy), out)| {
        instructions.run(
            #[inline(always)]
            || {
                for ((out, &x), &dy) in out.iter_mut().zip(x).zip(dy) {
                    *out = f(x, dy);
                }
            },
        );
    });
    out
}
