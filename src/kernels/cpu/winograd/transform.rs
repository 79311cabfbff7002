//! The linear maps of F(4x4, 3x3): evaluation of patches and kernels at 36 points, interpolation of tiles.

use std::ops::Range;

use super::Conv;
use crate::kernels::cpu::conv2d::Resample;
use crate::kernels::cpu::lanes::{LANES, Lanes, Unit, widest};

/// Side of a tile of the output.
pub(super) const TILE: usize = 4;
/// Side of the patch of the input that a tile depends on.
pub(super) const PATCH: usize = 6;
/// Points at which polynomials in two variables are evaluated.
pub(super) const POINTS: usize = PATCH * PATCH;
/// The place of -A among the six evaluation points of [`Points`].
pub(super) const MINUS_A: usize = 2;
/// Vectors of pixels of sixteen patches: six lines, each of four pixels of each patch and of the rest.
pub(super) const LINES: usize = PATCH * 2 * 4;

widest! {
    /// Evaluates the patches of one input channel: `[POINTS, tiles]`, each sixteen tiles in the order that transposing
    /// 4x4 matrices gives. `quads` is scratch for `LINES * width` vectors.
    pub(super) fn transform_patches<U>(
        conv: &Conv,
        channel: usize,
        tiles: Range<usize>,
        quads: &mut [Lanes],
        out: &mut [Lanes],
    ) {
        let width = out.len() / POINTS;
        let upsampled = conv.shape.resample == Resample::Up;
        gather_quads(conv, channel, tiles, bytemuck::cast_slice_mut(quads));
        for t in 0..width {
            let mut half = [[Lanes::ZERO; PATCH]; PATCH];
            for (i, quads) in quads.chunks_exact(2 * 4 * width).enumerate() {
                let (left, right) = quads.split_at(4 * width);
                // SAFETY: `U` is a unit of this machine.
                let [a, b, c, d] = unsafe { U::transpose(four(left, t)) };
                let line = if upsampled {
                    [a, b, b, c, c, d]
                } else {
                    // SAFETY: as above.
                    let [e, f, ..] = unsafe { U::transpose(four(right, t)) };
                    [a, b, c, d, e, f]
                };
                half[i] = conv.points.evaluate(line);
            }
            let [a, b, c, d, e, f] = half;
            for j in 0..PATCH {
                let column = conv.points.evaluate([a[j], b[j], c[j], d[j], e[j], f[j]]);
                for i in 0..PATCH {
                    out[(i * PATCH + j) * width + t] = column[i];
                }
            }
        }
    }
}

/// Vectors `4 t` to `4 t + 3`.
#[inline(always)]
fn four(vectors: &[Lanes], t: usize) -> [Lanes; 4] {
    [vectors[4 * t], vectors[4 * t + 1], vectors[4 * t + 2], vectors[4 * t + 3]]
}

/// Collects, for each row of the patches, pixels 0 to 3 of each tile and then, from the same number of places on,
/// pixels 4 and 5, followed by two that are not looked at; zeros beyond the borders. Upsampled patches have four
/// different pixels in a row.
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

/// Copies from a row that begins with one zero and ends with as many as are needed.
#[inline(always)]
fn copy_padded(row: &[f32], start: usize, out: &mut [f32]) {
    let (before, rest) = out.split_at_mut(usize::from(start == 0));
    before.fill(0.0);
    let source = row.get(start + before.len() - 1..).unwrap_or(&[]);
    let (inside, after) = rest.split_at_mut(source.len().min(rest.len()));
    inside.copy_from_slice(&source[..inside.len()]);
    after.fill(0.0);
}

widest! {
    /// Evaluates the kernels of one output channel: `[POINTS, in_channels]`.
    pub(super) fn transform_weights<U>(conv: &Conv, channel: usize, out: &mut [Lanes]) {
        let inputs = conv.shape.in_channels;
        let kernels = &conv.weight[channel * inputs * 9..][..inputs * 9];
        for (c, kernels) in kernels.chunks(LANES * 9).enumerate() {
            // SAFETY: `U` is a unit of this machine.
            let taps = unsafe { taps::<U>(kernels) };
            let mut columns = [[Lanes::ZERO; PATCH]; 3];
            for j in 0..3 {
                columns[j] = conv.points.evaluate_kernel([taps[j], taps[3 + j], taps[6 + j]]);
            }
            for i in 0..PATCH {
                let row = conv.points.evaluate_kernel([columns[0][i], columns[1][i], columns[2][i]]);
                for (j, value) in row.into_iter().enumerate() {
                    out[(i * PATCH + j) * conv.depth + c] = value;
                }
            }
        }
    }
}

/// The nine taps of at most sixteen kernels, a kernel a lane.
///
/// # Safety
/// The machine has the unit.
#[inline(always)]
unsafe fn taps<U: Unit>(kernels: &[f32]) -> [Lanes; 9] {
    let kernels = kernels.as_chunks::<9>().0;
    let mut padded = [[0.0; 9]; LANES];
    let kernels = kernels.first_chunk::<LANES>().unwrap_or_else(|| {
        padded[..kernels.len()].copy_from_slice(kernels);
        &padded
    });
    let (mut low, mut high, mut last) = ([Lanes::ZERO; 4], [Lanes::ZERO; 4], Lanes::ZERO);
    for row in 0..4 {
        for matrix in 0..4 {
            let kernel = &kernels[4 * matrix + row];
            low[row].0[4 * matrix..4 * matrix + 4].copy_from_slice(&kernel[..4]);
            high[row].0[4 * matrix..4 * matrix + 4].copy_from_slice(&kernel[4..8]);
            last.0[4 * matrix + row] = kernel[8];
        }
    }
    // SAFETY: as this function's.
    let ([a, b, c, d], [e, f, g, h]) = unsafe { (U::transpose(low), U::transpose(high)) };
    [a, b, c, d, e, f, g, h, last]
}

widest! {
    /// Turns the sums `[POINTS, tiles]` of one output channel into rows of pixels `[TILE, tiles * TILE]`.
    pub(super) fn interpolate<U>(points: Points, sums: &[Lanes], bias: f32, strip: &mut [Lanes]) {
        let width = sums.len() / POINTS;
        for t in 0..width {
            let at = |i: usize, j: usize| sums[(i * PATCH + j) * width + t];
            let mut half = [[Lanes::ZERO; TILE]; PATCH];
            for (j, half) in half.iter_mut().enumerate() {
                *half = points.interpolate([at(0, j), at(1, j), at(2, j), at(3, j), at(4, j), at(5, j)]);
            }
            let [a, b, c, d, e, f] = half;
            for i in 0..TILE {
                let [a, b, c, d] = points.interpolate([a[i], b[i], c[i], d[i], e[i], f[i]]);
                // SAFETY: `U` is a unit of this machine.
                let pixels = unsafe { U::transpose([a + bias, b + bias, c + bias, d + bias]) };
                strip[(i * width + t) * TILE..][..TILE].copy_from_slice(&pixels);
            }
        }
    }
}

/// Polynomials are evaluated at 0, A, -A, B, -B and infinity. The choice decides how large rounding errors become.
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

    /// One line of a patch at the points.
    #[inline(always)]
    fn evaluate(self, d: [Lanes; PATCH]) -> [Lanes; PATCH] {
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

    /// One line of a kernel at the points, divided by what interpolation would divide by.
    #[inline(always)]
    fn evaluate_kernel(self, w: [Lanes; 3]) -> [Lanes; PATCH] {
        let (a2, b2) = (self.a * self.a, self.b * self.b);
        let (over_a, over_b) = (0.5 / (a2 * (a2 - b2)), 0.5 / (b2 * (b2 - a2)));
        let (even_a, odd_a) = ((w[0] + w[2] * a2) * over_a, w[1] * (self.a * over_a));
        let (even_b, odd_b) = ((w[0] + w[2] * b2) * over_b, w[1] * (self.b * over_b));
        [w[0] * (1.0 / (a2 * b2)), even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, w[2]]
    }

    /// The four pixels of a line from the products at the points.
    #[inline(always)]
    fn interpolate(self, m: [Lanes; PATCH]) -> [Lanes; TILE] {
        let (a2, b2) = (self.a * self.a, self.b * self.b);
        let (even_a, odd_a) = (m[1] + m[2], (m[1] - m[2]) * self.a);
        let (even_b, odd_b) = (m[3] + m[4], (m[3] - m[4]) * self.b);
        [m[0] + even_a + even_b, odd_a + odd_b, even_a * a2 + even_b * b2, odd_a * a2 + odd_b * b2 + m[5]]
    }
}
