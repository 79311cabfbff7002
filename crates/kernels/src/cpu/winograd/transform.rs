//! The linear maps of F(4x4, 3x3): evaluating patches and kernels at 36 points, and interpolating tiles.

use std::ops::Range;

use super::Conv;
use crate::cpu::conv2d::Resample;
use crate::cpu::vector::{Kernel, Simd, WIDEST};

/// Side of a tile of the output.
pub(super) const TILE: usize = 4;
/// Side of the patch of the input that a tile depends on.
pub(super) const PATCH: usize = 6;
/// Points at which polynomials in two variables are evaluated.
pub(super) const POINTS: usize = PATCH * PATCH;
/// Index of -A among the six evaluation points of [`Points`].
pub(super) const MINUS_A: usize = 2;
/// Pixels of a gathered patch: in each row four, then the other two padded to four.
pub(super) const QUADS: usize = PATCH * 2 * TILE;

/// Evaluates the patches of one input channel.
pub(super) struct Patches<'a> {
    pub conv: &'a Conv<'a>,
    pub channel: usize,
    pub tiles: Range<usize>,
    /// Scratch: `[QUADS, tiles]`.
    pub quads: &'a mut [f32],
    /// `[POINTS, tiles]`, in the order that transposing 4x4 matrices gives.
    pub out: &'a mut [f32],
}

impl Kernel for Patches<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, channel, tiles, quads, out } = self;
        let width = out.len() / POINTS;
        gather_quads(conv, channel, tiles, quads);
        for t in (0..width).step_by(S::LANES) {
            // SAFETY: the features are those of `S`.
            unsafe {
                let mut half = [[S::splat(0.0); PATCH]; PATCH];
                for (half, quads) in half.iter_mut().zip(quads.chunks_exact(2 * TILE * width)) {
                    let (left, right) = quads.split_at(TILE * width);
                    let [a, b, c, d] = S::transpose(load::<S>(&left[TILE * t..]));
                    let line = if conv.shape.resample == Resample::Up {
                        [a, b, b, c, c, d]
                    } else {
                        let [e, f, ..] = S::transpose(load::<S>(&right[TILE * t..]));
                        [a, b, c, d, e, f]
                    };
                    *half = conv.points.evaluate::<S>(line);
                }
                let [a, b, c, d, e, f] = half;
                for j in 0..PATCH {
                    let column = conv.points.evaluate::<S>([a[j], b[j], c[j], d[j], e[j], f[j]]);
                    for i in 0..PATCH {
                        store::<S, 1>([column[i]], &mut out[(i * PATCH + j) * width + t..]);
                    }
                }
            }
        }
    }
}

/// Loads the first four vectors.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn load<S: Simd>(from: &[f32]) -> [S::Vector; TILE] {
    let from = from[..TILE * S::LANES].as_ptr();
    // SAFETY: the slice above has that many elements.
    unsafe { [0, 1, 2, 3].map(|i| S::load(from.add(i * S::LANES))) }
}

/// Stores `N` vectors to the start of `to`.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn store<S: Simd, const N: usize>(vectors: [S::Vector; N], to: &mut [f32]) {
    let to = to[..N * S::LANES].as_mut_ptr();
    for (i, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the slice above has room for them.
        unsafe { S::store(to.add(i * S::LANES), vector) };
    }
}

/// For each row of the patches, collects pixels 0 to 3 of every tile in the left half, and pixels 4 and 5
/// plus two unused ones in the right half, with zeros beyond the borders. Upsampled patches have only four
/// distinct pixels per row.
#[inline(always)]
fn gather_quads(conv: &Conv, channel: usize, tiles: Range<usize>, quads: &mut [f32]) {
    let (shape, width) = (conv.shape, quads.len() / (2 * PATCH));
    let size = shape.height * shape.width;
    for run in conv.grid.runs(tiles) {
        let plane = &conv.x[(run.image * shape.in_channels + channel) * size..][..size];
        for (i, quads) in quads.chunks_exact_mut(2 * width).enumerate() {
            let (left, right) = quads.split_at_mut(width);
            let left = &mut left[TILE * run.first..][..TILE * run.len];
            let right = &mut right[TILE * run.first..][..TILE * run.len];
            let y = (TILE * run.row + i).wrapping_sub(1);
            if y >= shape.out_height() {
                left.fill(0.0);
                right.fill(0.0);
            } else if shape.resample == Resample::Up {
                let row = &plane[y / 2 * shape.width..][..shape.width];
                for (t, quad) in left.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
                    let start = 2 * (run.column + t);
                    match row.get(start.wrapping_sub(1)..start + 3) {
                        Some(inside) => quad.copy_from_slice(inside),
                        None => copy_padded(row, start, quad),
                    }
                }
            } else {
                let row = &plane[y * shape.width..][..shape.width];
                copy_padded(row, TILE * run.column, left);
                copy_padded(row, TILE * (run.column + 1), right);
            }
        }
    }
}

/// Copies from a row preceded by one zero and followed by as many as needed.
#[inline(always)]
fn copy_padded(row: &[f32], start: usize, out: &mut [f32]) {
    let (before, rest) = out.split_at_mut(usize::from(start == 0));
    before.fill(0.0);
    let source = row.get(start + before.len() - 1..).unwrap_or(&[]);
    let (inside, after) = rest.split_at_mut(source.len().min(rest.len()));
    inside.copy_from_slice(&source[..inside.len()]);
    after.fill(0.0);
}

/// Evaluates the kernels of one output channel.
pub(super) struct Weights<'a> {
    pub conv: &'a Conv<'a>,
    pub channel: usize,
    /// `[POINTS, in_channels]`
    pub out: &'a mut [f32],
}

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, channel, out } = self;
        let (inputs, depth) = (conv.shape.in_channels, out.len() / POINTS);
        let kernels = conv.weight[channel * inputs * 9..][..inputs * 9].as_chunks().0;
        for (c, kernels) in kernels.chunks(S::LANES).enumerate() {
            // SAFETY: the features are those of `S`.
            unsafe {
                let taps = taps::<S>(kernels);
                let mut columns = [[S::splat(0.0); PATCH]; 3];
                for j in 0..3 {
                    columns[j] = conv.points.evaluate_kernel::<S>([taps[j], taps[3 + j], taps[6 + j]]);
                }
                for i in 0..PATCH {
                    let row = conv.points.evaluate_kernel::<S>([columns[0][i], columns[1][i], columns[2][i]]);
                    for (j, value) in row.into_iter().enumerate() {
                        store::<S, 1>([value], &mut out[(i * PATCH + j) * depth + c * S::LANES..]);
                    }
                }
            }
        }
    }
}

/// The nine taps of up to `S::LANES` kernels, one kernel per lane.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn taps<S: Simd>(kernels: &[[f32; 9]]) -> [S::Vector; 9] {
    let mut padded = [[0.0; 9]; WIDEST];
    let kernels = if kernels.len() < S::LANES {
        padded[..kernels.len()].copy_from_slice(kernels);
        &padded[..S::LANES]
    } else {
        &kernels[..S::LANES]
    };
    let (mut low, mut high, mut last) = ([[0.0; WIDEST]; 4], [[0.0; WIDEST]; 4], [0.0; WIDEST]);
    for k in 0..S::LANES {
        let kernel = &kernels[k];
        low[k % 4][k / 4 * 4..][..4].copy_from_slice(&kernel[..4]);
        high[k % 4][k / 4 * 4..][..4].copy_from_slice(&kernel[4..8]);
        last[k] = kernel[8];
    }
    // SAFETY: the arrays hold the widest vector.
    unsafe {
        let [a, b, c, d] = S::transpose(low.map(|row| S::load(row.as_ptr())));
        let [e, f, g, h] = S::transpose(high.map(|row| S::load(row.as_ptr())));
        [a, b, c, d, e, f, g, h, S::load(last.as_ptr())]
    }
}

/// Turns the sums of one output channel into pixels.
pub(super) struct Tiles<'a> {
    pub points: Points,
    /// `[POINTS, tiles]`
    pub sums: &'a [f32],
    pub bias: f32,
    /// Rows of pixels: `[TILE, tiles * TILE]`.
    pub strip: &'a mut [f32],
}

impl Kernel for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { points, sums, bias, strip } = self;
        let width = sums.len() / POINTS;
        for t in (0..width).step_by(S::LANES) {
            // SAFETY: the features are those of `S`, and each load is `S::LANES` elements of a slice.
            unsafe {
                let at =
                    |i: usize, j: usize| S::load(sums[(i * PATCH + j) * width + t..][..S::LANES].as_ptr());
                let mut half = [[S::splat(0.0); TILE]; PATCH];
                for (j, half) in half.iter_mut().enumerate() {
                    *half =
                        points.interpolate::<S>([at(0, j), at(1, j), at(2, j), at(3, j), at(4, j), at(5, j)]);
                }
                let ([a, b, c, d, e, f], bias) = (half, S::splat(bias));
                for i in 0..TILE {
                    let [a, b, c, d] = points.interpolate::<S>([a[i], b[i], c[i], d[i], e[i], f[i]]);
                    let pixels = S::transpose([a + bias, b + bias, c + bias, d + bias]);
                    store::<S, TILE>(pixels, &mut strip[(i * width + t) * TILE..]);
                }
            }
        }
    }
}

/// Polynomials are evaluated at 0, A, -A, B, -B and infinity. The choice of A and B determines the size of
/// rounding errors.
#[derive(Clone, Copy)]
pub(super) struct Points {
    a: f32,
    b: f32,
}

impl Points {
    /// Four times as accurate as the published 1 and 2.
    pub const ACCURATE: Self = Self { a: std::f32::consts::FRAC_1_SQRT_2, b: std::f32::consts::SQRT_2 };

    /// For upsampled patches, which vanish at -1.
    pub const UPSAMPLED: Self = Self { a: 1.0, b: 0.6 };

    /// Evaluates one line of a patch at the points.
    #[inline(always)]
    fn evaluate<S: Simd>(self, d: [S::Vector; PATCH]) -> [S::Vector; PATCH] {
        let (a2, b2) = (self.a * self.a, self.b * self.b);
        let (even_a, odd_a) = (d[4] - d[2] * b2, (d[3] - d[1] * b2) * self.a);
        let (even_b, odd_b) = (d[4] - d[2] * a2, (d[3] - d[1] * a2) * self.b);
        [
            d[0] * (a2 * b2) - d[2] * (a2 + b2) + d[4],
            even_a + odd_a,
            even_a - odd_a,
            even_b + odd_b,
            even_b - odd_b,
            d[1] * (a2 * b2) - d[3] * (a2 + b2) + d[5],
        ]
    }

    /// Evaluates one line of a kernel at the points, divided by the denominators of the interpolation.
    #[inline(always)]
    fn evaluate_kernel<S: Simd>(self, w: [S::Vector; 3]) -> [S::Vector; PATCH] {
        let (a2, b2) = (self.a * self.a, self.b * self.b);
        let (over_a, over_b) = (0.5 / (a2 * (a2 - b2)), 0.5 / (b2 * (b2 - a2)));
        let (even_a, odd_a) = ((w[0] + w[2] * a2) * over_a, w[1] * (self.a * over_a));
        let (even_b, odd_b) = ((w[0] + w[2] * b2) * over_b, w[1] * (self.b * over_b));
        [w[0] * (1.0 / (a2 * b2)), even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, w[2]]
    }

    /// Interpolates the four pixels of a line from the products at the points.
    #[inline(always)]
    fn interpolate<S: Simd>(self, m: [S::Vector; PATCH]) -> [S::Vector; TILE] {
        let (a2, b2) = (self.a * self.a, self.b * self.b);
        let (even_a, odd_a) = (m[1] + m[2], (m[1] - m[2]) * self.a);
        let (even_b, odd_b) = (m[3] + m[4], (m[3] - m[4]) * self.b);
        [m[0] + even_a + even_b, odd_a + odd_b, even_a * a2 + even_b * b2, odd_a * a2 + odd_b * b2 + m[5]]
    }
}
