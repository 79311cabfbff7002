//! The gradient of the convolution weights: the product of each output channel with each input channel,
//! shifted by each tap.
//!
//! Images are laid out as long rows with zero borders, so that a tap's inputs are the same row offset by a
//! few pixels, and each weight's gradient is the dot product of two rows.

use std::ops::Range;

use rayon::prelude::*;

use super::conv2d::{ConvShape, Resample};
use super::tasks::{Shared, block, for_each_task};
use super::vector::{Instructions, Kernel, Simd, WIDEST};

/// Pixels of a few output channels that stay in the L1 cache.
const SEGMENT: usize = 2048;

/// Output channels per task.
const BLOCK: usize = 32;

/// Most parts that the images are divided into. Each part has its own sums.
const PARTS: usize = 16;

/// The gradient of [`super::conv2d::conv2d`] with respect to `weight`
/// `[out_channels, in_channels, kernel, kernel]`, from `x` `[batch, in_channels, height, width]` and the
/// gradient `dy` `[batch, out_channels, out_height, out_width]` of the result.
///
/// Runs on the current thread pool. The result is bit-identical for any number of threads.
///
/// # Panics
/// If the lengths of the slices do not match `shape`.
pub fn weight_gradient(x: &[f32], dy: &[f32], shape: &ConvShape) -> Vec<f32> {
    let size = shape.in_channels * shape.kernel.pow(2);
    let weights = shape.out_channels * size;
    assert_eq!(
        x.len(),
        shape.batch * shape.in_channels * shape.height * shape.width,
        "length of the input of {shape:?}"
    );
    assert_eq!(
        dy.len(),
        shape.batch * shape.out_channels * shape.out_height() * shape.out_width(),
        "length of the gradient of {shape:?}"
    );
    if dy.is_empty() {
        return vec![0.0; weights];
    }
    // The summation order depends only on the shape.
    let layout = Layout::of(shape);
    let parts = (shape.batch * layout.image / SEGMENT).clamp(1, PARTS.min(shape.batch));
    let blocks = shape.out_channels.div_ceil(BLOCK);
    let mut sums = vec![0.0; parts * weights];
    let (shared, instructions) = (Shared::new(&mut sums), Instructions::best());
    let columns = layout.columns(shape);
    for_each_task(
        parts * blocks,
        || Scratch::new(&layout, shape),
        |scratch, task| {
            let images = block(shape.batch, parts, task / blocks);
            let channels = block(shape.out_channels, blocks, task % blocks);
            let first = task / blocks * weights + channels.start * size;
            // SAFETY: only this task adds to its channels of its part, and this borrow ends with the task.
            let sums = unsafe { shared.part(first, channels.len() * size) };
            for first in images.clone().step_by(layout.group) {
                let images = first..images.end.min(first + layout.group);
                let len = scratch.fill(x, dy, images, channels.clone(), &layout, shape);
                instructions.run(Products { scratch, columns: &columns, len, row: layout.row(), sums });
            }
        },
    );
    let mut total = sums[..weights].to_vec();
    total.par_iter_mut().with_min_len(4096).enumerate().for_each(|(i, total)| {
        for part in 1..parts {
            *total += sums[part * weights + i];
        }
    });
    total
}

/// How images are laid out in rows. A pixel of the result has the same index as the first tap's input.
struct Layout {
    /// Distance between lines of pixels.
    stride: usize,
    /// Distance between images.
    image: usize,
    /// Images laid out at once.
    group: usize,
    /// Index of the first image's first pixel in the row of an input channel.
    origin: usize,
    /// Rows per input channel. `Down` has one for each combination of even and odd lines and columns.
    phases: usize,
}

impl Layout {
    fn of(shape: &ConvShape) -> Self {
        let (height, width) = (shape.out_height(), shape.out_width());
        // The zero to the right of a line doubles as the zero to the left of the next. The zeros between
        // images are shared likewise.
        let (stride, lines, origin, phases) = match (shape.kernel, shape.resample) {
            (1, _) => (width, height, 0, 1),
            (_, Resample::Down) => (width + 1, height + 1, 0, 4),
            _ => (width + 1, height + 1, width + 2, 1),
        };
        let image = stride * lines;
        let group = (SEGMENT / image).clamp(1, shape.batch);
        Self { stride, image, group, origin, phases }
    }

    /// Length of a row of the result.
    fn pixels(&self) -> usize {
        (self.group * self.image).next_multiple_of(WIDEST)
    }

    /// Length of a row of the input, including everything the last tap reads. An odd number of cache lines,
    /// so that rows do not map to the same few cache sets.
    fn row(&self) -> usize {
        ((self.pixels() + 2 * self.stride + 2).div_ceil(WIDEST) | 1) * WIDEST
    }

    /// For each weight of an output channel, the index of its first input in the rows of all input channels.
    fn columns(&self, shape: &ConvShape) -> Vec<usize> {
        let taps = shape.kernel.pow(2);
        let column = |i: usize| {
            let (channel, dy, dx) = (i / taps, i % taps / shape.kernel, i % shape.kernel);
            let (phase, dy, dx) = match self.phases {
                1 => (0, dy, dx),
                _ => (dy % 2 * 2 + dx % 2, dy / 2, dx / 2),
            };
            (channel * self.phases + phase) * self.row() + dy * self.stride + dx
        };
        (0..shape.in_channels * taps).map(column).collect()
    }
}

/// Rows of a few images.
struct Scratch {
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

impl Scratch {
    fn new(layout: &Layout, shape: &ConvShape) -> Self {
        Self {
            inputs: vec![0.0; shape.in_channels * layout.phases * layout.row()],
            outputs: vec![0.0; shape.out_channels.min(BLOCK) * layout.row()],
        }
    }

    /// Lays out `images`, and `channels` of the gradients of their results. Returns the length of the filled
    /// rows.
    fn fill(
        &mut self,
        x: &[f32],
        dy: &[f32],
        images: Range<usize>,
        channels: Range<usize>,
        layout: &Layout,
        shape: &ConvShape,
    ) -> usize {
        let row = layout.row();
        let (size, out_size) = (shape.height * shape.width, shape.out_height() * shape.out_width());
        for (i, image) in images.clone().enumerate() {
            let planes = x[image * shape.in_channels * size..].chunks_exact(size);
            for (plane, rows) in planes.zip(self.inputs.chunks_exact_mut(layout.phases * row)) {
                lay_input(plane, shape, layout, i * layout.image, rows);
            }
            let planes =
                dy[(image * shape.out_channels + channels.start) * out_size..].chunks_exact(out_size);
            for (plane, row) in planes.zip(self.outputs.chunks_exact_mut(row)).take(channels.len()) {
                lay(plane, shape.out_width(), layout.stride, &mut row[i * layout.image..]);
            }
        }
        let used = images.len() * layout.image;
        let len = used.next_multiple_of(WIDEST);
        self.outputs.chunks_exact_mut(row).for_each(|row| row[used..len].fill(0.0));
        len
    }
}

/// Copies lines of `width` pixels, `stride` apart, into a row.
fn lay(plane: &[f32], width: usize, stride: usize, row: &mut [f32]) {
    for (line, to) in plane.chunks_exact(width).zip(row.chunks_mut(stride)) {
        to[..width].copy_from_slice(line);
    }
}

/// Lays out the plane of an input channel in its rows, from `first` on.
fn lay_input(plane: &[f32], shape: &ConvShape, layout: &Layout, first: usize, rows: &mut [f32]) {
    let (width, stride) = (shape.width, layout.stride);
    let start = first + layout.origin;
    match shape.resample {
        Resample::Same => lay(plane, width, stride, &mut rows[start..]),
        Resample::Up => {
            for (i, to) in rows[start..].chunks_mut(stride).take(2 * shape.height).enumerate() {
                let line = &plane[i / 2 * width..][..width];
                to[..2 * width]
                    .as_chunks_mut::<2>()
                    .0
                    .iter_mut()
                    .zip(line)
                    .for_each(|(to, &pixel)| *to = [pixel; 2]);
            }
        }
        Resample::Down => {
            let row = layout.row();
            for (y, line) in plane.chunks_exact(width).enumerate().take(2 * shape.out_height() + 1) {
                for odd in 0..2 {
                    let to = &mut rows[(y % 2 * 2 + odd) * row + first + y / 2 * stride..][..stride];
                    line.iter().skip(odd).step_by(2).zip(to).for_each(|(&pixel, to)| *to = pixel);
                }
            }
        }
    }
}

/// Adds the dot products of all output rows with the inputs of all taps.
struct Products<'a> {
    scratch: &'a Scratch,
    columns: &'a [usize],
    /// Length of the rows.
    len: usize,
    /// Distance between rows.
    row: usize,
    /// `[outputs, columns]`
    sums: &'a mut [f32],
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: the caller guarantees the features.
        unsafe { if S::REGISTERS >= 32 { self.run_tiles::<S, 4, 6>() } else { self.run_tiles::<S, 2, 4>() } }
    }
}

impl Products<'_> {
    /// Processes tiles of `O` outputs by `T` columns, whose sums stay in registers.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    #[inline(always)]
    unsafe fn run_tiles<S: Simd, const O: usize, const T: usize>(&mut self) {
        let (outputs, columns) = (self.sums.len() / self.columns.len(), self.columns.len());
        assert!(outputs * self.row <= self.scratch.outputs.len() && self.len <= self.row);
        let last = self.columns.iter().max().expect("a convolution has inputs");
        assert!(self.len.is_multiple_of(WIDEST) && last + self.len <= self.scratch.inputs.len());
        for segment in (0..self.len).step_by(SEGMENT) {
            let len = SEGMENT.min(self.len - segment);
            for output in (0..outputs).step_by(O) {
                // Rows past the end repeat the last one; their sums are discarded.
                let rows: [usize; O] = std::array::from_fn(|o| (output + o).min(outputs - 1) * self.row);
                for column in (0..columns).step_by(T) {
                    let seen: [usize; T] =
                        std::array::from_fn(|t| self.columns[(column + t).min(columns - 1)]);
                    // SAFETY: the lengths of all rows and columns are checked above, and the caller
                    // guarantees the features.
                    let tile = unsafe {
                        let rows = rows.map(|row| self.scratch.outputs.as_ptr().add(row + segment));
                        let seen = seen.map(|seen| self.scratch.inputs.as_ptr().add(seen + segment));
                        tile::<S, O, T>(rows, seen, len)
                    };
                    for (sums, tile) in self.sums[output * columns..].chunks_exact_mut(columns).zip(tile) {
                        sums[column..].iter_mut().zip(tile).for_each(|(sum, more)| *sum += more);
                    }
                }
            }
        }
    }
}

/// The dot products of `len` values of each of `rows` with each of `seen`.
///
/// # Safety
/// `len` is a multiple of [`WIDEST`], each pointer is valid for `len` values, and the processor has the
/// features of `S`.
#[inline(always)]
unsafe fn tile<S: Simd, const O: usize, const T: usize>(
    rows: [*const f32; O],
    seen: [*const f32; T],
    len: usize,
) -> [[f32; T]; O] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = [[S::splat(0.0); T]; O];
        for i in (0..len).step_by(S::LANES) {
            let seen = seen.map(|seen| S::load(seen.add(i)));
            for o in 0..O {
                let row = S::load(rows[o].add(i));
                for t in 0..T {
                    sums[o][t] = S::mul_add(row, seen[t], sums[o][t]);
                }
            }
        }
        let mut totals = [[0.0; T]; O];
        for (i, four) in (0..O * T).step_by(4).enumerate() {
            let [a, b, c, d] = S::transpose(std::array::from_fn(|j| sums[(four + j) / T][(four + j) % T]));
            let mut lanes = [0.0; WIDEST];
            S::store(lanes.as_mut_ptr(), (a + b) + (c + d));
            for j in 0..4 {
                let total = (lanes[j] + lanes[j + 4]) + (lanes[j + 8] + lanes[j + 12]);
                totals[(4 * i + j) / T][(4 * i + j) % T] = total;
            }
        }
        totals
    }
}
