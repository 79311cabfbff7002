//! Gradients of the convolutions with respect to their inputs and biases.

use rayon::prelude::*;

use super::conv2d::{ConvShape, Resample, conv2d};
use super::layer_norm::sum;
use super::memory::zeros;
use super::vector::Instructions;

/// The gradient of the input `[batch, in_channels, height, width]` of [`conv2d`], from the gradient `dy`
/// `[batch, out_channels, out_height, out_width]` of its result.
///
/// This is itself a convolution of `dy`, with the kernels rotated by 180 degrees and input and output
/// channels swapped. For `Down`, zeros are inserted between the pixels of `dy`; for `Up`, the result is
/// summed over blocks of 2x2 pixels.
///
/// # Panics
/// As [`conv2d`].
pub fn input_gradient(dy: &[f32], weight: &[f32], shape: &ConvShape) -> Vec<f32> {
    let turned = turned(weight, shape);
    let back = |height, width| ConvShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        height,
        width,
        resample: Resample::Same,
        ..*shape
    };
    match shape.resample {
        Resample::Same => conv2d(dy, &turned, None, &back(shape.height, shape.width)),
        Resample::Down => conv2d(&spread(dy, shape), &turned, None, &back(shape.height, shape.width)),
        Resample::Up => {
            let large = back(shape.out_height(), shape.out_width());
            block_sums(&conv2d(dy, &turned, None, &large), shape.width)
        }
    }
}

/// The gradient of the bias `[channels]`, which is added to each of `spatial` pixels, from the gradient `dy`
/// `[batch, channels, spatial]` of the result.
///
/// # Panics
/// If the length of `dy` does not match.
pub fn bias_gradient(dy: &[f32], channels: usize, spatial: usize) -> Vec<f32> {
    if dy.is_empty() {
        return vec![0.0; channels];
    }
    let instructions = Instructions::best();
    let planes: Vec<f32> = dy
        .par_chunks_exact(spatial)
        .map(|plane| {
            instructions.run(
                #[inline(always)]
                || sum(plane, |value| value),
            )
        })
        .collect();
    assert_eq!(
        (planes.len() % channels, planes.len() * spatial),
        (0, dy.len()),
        "dy must be whole planes of {channels} channels"
    );
    let total = |channel: usize| {
        planes.iter().skip(channel).step_by(channels).map(|&sum| f64::from(sum)).sum::<f64>()
    };
    (0..channels).map(|channel| total(channel) as f32).collect()
}

/// `[in_channels, out_channels, kernel, kernel]`, each kernel rotated by 180 degrees.
fn turned(weight: &[f32], shape: &ConvShape) -> Vec<f32> {
    let (inputs, taps) = (shape.in_channels, shape.kernel.pow(2));
    let mut turned = vec![0.0; weight.len()];
    for (i, kernel) in turned.chunks_exact_mut(taps).enumerate() {
        let (input, output) = (i / shape.out_channels, i % shape.out_channels);
        kernel.copy_from_slice(&weight[(output * inputs + input) * taps..][..taps]);
        kernel.reverse();
    }
    turned
}

/// Images of the input's size with the pixels of `dy` at odd rows and columns, where the centres of the
/// kernels were, and zeros elsewhere.
fn spread(dy: &[f32], shape: &ConvShape) -> Vec<f32> {
    let (width, out_width) = (shape.width, shape.out_width());
    let mut out = zeros(shape.batch * shape.out_channels * shape.height * width);
    if dy.is_empty() {
        return out;
    }
    let planes = out
        .par_chunks_exact_mut(shape.height * width)
        .zip(dy.par_chunks_exact(shape.out_height() * out_width));
    planes.for_each(|(plane, dy)| {
        let odd_rows = plane.chunks_exact_mut(width).skip(1).step_by(2);
        for (row, dy) in odd_rows.zip(dy.chunks_exact(out_width)) {
            row.iter_mut().skip(1).step_by(2).zip(dy).for_each(|(pixel, &dy)| *pixel = dy);
        }
    });
    out
}

/// The sum of each 2x2 block of pixels, for planes with rows of `2 width` pixels.
fn block_sums(large: &[f32], width: usize) -> Vec<f32> {
    let mut out = zeros(large.len() / 4);
    if out.is_empty() {
        return out;
    }
    out.par_chunks_exact_mut(width).zip(large.par_chunks_exact(4 * width)).with_min_len(64).for_each(
        |(row, large)| {
            let (upper, lower) = large.split_at(2 * width);
            let blocks = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            for (pixel, (upper, lower)) in row.iter_mut().zip(blocks) {
                *pixel = (upper[0] + upper[1]) + (lower[0] + lower[1]);
            }
        },
    );
    out
}
