//! 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): 36 products for 16 outputs where the definition has 144.
//!
//! (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308.) Each 4x4 tile of the output
//! depends on a 6x6 patch of the input. Patch and kernel, as polynomials in each direction, are evaluated at six points;
//! at each of the 36 pairs of points the channels are mixed by a matrix product; interpolation gives the tile.
//!
//! After nearest upsampling the polynomial of a patch has the factor 1 + x: it vanishes at -1, so that 11 of the 36
//! products need not be made.

mod transform;

use std::ops::Range;

use super::conv2d::{ConvShape, Resample};
use super::lanes::{LANES, Lanes};
use super::product::{Rows, multiply};
use super::tasks::{Shared, block, blocks, for_each_task};
use transform::{LINES, MINUS_A, PATCH, POINTS, Points, TILE};
use transform::{interpolate, transform_patches, transform_weights};

/// Vectors of tiles that a thread works on at once: the height of the widest matrix kernel.
const CHUNK: usize = 4;
/// Output channels that a thread works on at once, so that their products stay in the second-level cache.
const BLOCK: usize = 96;

/// Whether this is the fastest way to compute `shape`. The batch has no say: an image is the same in every batch.
pub(super) fn pays(shape: &ConvShape) -> bool {
    let Grid { rows, columns, .. } = Grid::of(shape);
    shape.kernel == 3 && shape.resample != Resample::Down && rows * columns >= LANES / 2
}

/// Adds `bias` to the convolution of `x` with `weight` and writes it to `out`; `shape.kernel` is 3.
pub(super) fn convolve(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape, out: &mut [f32]) {
    let points = if shape.resample == Resample::Up { Points::UPSAMPLED } else { Points::ACCURATE };
    // Odd, so that the points of one channel do not all fall into the same few sets of a cache.
    let depth = shape.in_channels.div_ceil(LANES) | 1;
    let conv = Conv { x, weight, bias, shape, grid: Grid::of(shape), points, depth };
    let out = Shared::new(out);
    // What every thread needs is transformed first: whichever of weights and patches is smaller.
    if conv.grid.tiles() > shape.out_channels { conv.by_tiles(&out) } else { conv.by_channels(&out) }
}

/// The tiles of all images of a batch, numbered along rows.
#[derive(Clone, Copy)]
struct Grid {
    images: usize,
    rows: usize,
    columns: usize,
}

/// Neighbouring tiles of one row.
struct Run {
    image: usize,
    row: usize,
    column: usize,
    /// The number of the first one, counted from the start of the chunk.
    first: usize,
    len: usize,
}

impl Grid {
    fn of(shape: &ConvShape) -> Self {
        Self {
            images: shape.batch,
            rows: shape.out_height().div_ceil(TILE),
            columns: shape.out_width().div_ceil(TILE),
        }
    }

    fn tiles(&self) -> usize {
        self.images * self.rows * self.columns
    }

    #[inline(always)]
    fn runs(self, tiles: Range<usize>) -> impl Iterator<Item = Run> {
        let mut next = tiles.start;
        std::iter::from_fn(move || {
            let (row, column) = (next / self.columns, next % self.columns);
            let len = (self.columns - column).min(tiles.end - next);
            let first = next - tiles.start;
            next += len;
            (len > 0).then_some(Run { image: row / self.rows, row: row % self.rows, column, first, len })
        })
    }
}

/// One convolution. Transformed, its operands are, with tiles and input channels in vectors:
/// patches `[in_channels, POINTS, tiles]`, weights `[out_channels, POINTS, in_channels]`, and their products
/// `[out_channels, POINTS, tiles]`.
struct Conv<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    shape: &'a ConvShape,
    grid: Grid,
    points: Points,
    /// Vectors of input channels.
    depth: usize,
}

impl Conv<'_> {
    /// Weights first, then each task is a chunk of tiles.
    fn by_tiles(&self, out: &Shared<f32>) {
        let channels = self.shape.out_channels;
        let weights = self.transformed_weights();
        let stride = POINTS * self.depth;
        let blocks = blocks(channels, channels.div_ceil(BLOCK));
        for_each_task(
            self.grid.tiles().div_ceil(CHUNK * LANES),
            || {
                let patches = buffer(self.shape.in_channels * POINTS * CHUNK);
                (patches, buffer(LINES * CHUNK), Products::new(channels.div_ceil(blocks), CHUNK))
            },
            |(patches, quads, products), task| {
                let first = task * CHUNK * LANES;
                let tiles = first..self.grid.tiles().min(first + CHUNK * LANES);
                for (channel, patches) in patches.chunks_exact_mut(POINTS * CHUNK).enumerate() {
                    transform_patches(self, channel, tiles.clone(), quads, patches);
                }
                for block in (0..blocks).map(|index| block(channels, blocks, index)) {
                    let weights = &weights[block.start * stride..block.end * stride];
                    self.mix(patches, weights, CHUNK, &mut products.sums);
                    products.emit(self, block, tiles.clone(), out);
                }
            },
        );
    }

    /// Patches first, then each task is a block of output channels.
    fn by_channels(&self, out: &Shared<f32>) {
        let channels = self.shape.out_channels;
        let width = self.grid.tiles().div_ceil(LANES);
        let patches = self.transformed_patches(width);
        let stride = POINTS * self.depth;
        let blocks = blocks(channels, channels.div_ceil(BLOCK).max(4 * rayon::current_num_threads()));
        for_each_task(
            blocks,
            || {
                let largest = channels.div_ceil(blocks);
                (buffer(largest * stride), Products::new(largest, width))
            },
            |(weights, products), task| {
                let block = block(channels, blocks, task);
                let weights = &mut weights[..block.len() * stride];
                for (channel, weights) in block.clone().zip(weights.chunks_exact_mut(stride)) {
                    transform_weights(self, channel, weights);
                }
                self.mix(&patches, weights, width, &mut products.sums);
                products.emit(self, block, 0..self.grid.tiles(), out);
            },
        );
    }

    fn transformed_weights(&self) -> Vec<Lanes> {
        let stride = POINTS * self.depth;
        let mut weights = buffer(self.shape.out_channels * stride);
        let shared = Shared::new(&mut weights);
        for_each_task(
            self.shape.out_channels,
            || (),
            |(), channel| {
                // SAFETY: each channel is one task's.
                transform_weights(self, channel, unsafe { shared.part(channel * stride, stride) });
            },
        );
        weights
    }

    fn transformed_patches(&self, width: usize) -> Vec<Lanes> {
        let stride = POINTS * width;
        let mut patches = buffer(self.shape.in_channels * stride);
        let shared = Shared::new(&mut patches);
        for_each_task(
            self.shape.in_channels,
            || buffer(LINES * width),
            |quads, channel| {
                // SAFETY: each channel is one task's.
                let patches = unsafe { shared.part(channel * stride, stride) };
                transform_patches(self, channel, 0..self.grid.tiles(), quads, patches);
            },
        );
        patches
    }

    /// Mixes the channels at each point that is not known to be zero.
    fn mix(&self, patches: &[Lanes], weights: &[Lanes], width: usize, sums: &mut [Lanes]) {
        let channels = weights.len() / (POINTS * self.depth);
        let (inputs, tiles, depth) = (self.shape.in_channels, width * LANES, self.depth * LANES);
        assert!(patches.len() >= inputs * POINTS * width && sums.len() >= channels * POINTS * width);
        let (patches, weights) =
            (bytemuck::cast_slice::<_, f32>(patches), bytemuck::cast_slice::<_, f32>(weights));
        let sums = bytemuck::cast_slice_mut::<_, f32>(sums);
        let vanishes = |i| self.shape.resample == Resample::Up && i == MINUS_A;
        for point in (0..POINTS).filter(|point| !vanishes(point / PATCH) && !vanishes(point % PATCH)) {
            // SAFETY: channel `c` of point `p` is `[c, p]` in each operand, whose lengths have been checked.
            unsafe {
                multiply(
                    [channels, inputs, tiles],
                    Rows { start: weights[point * depth..].as_ptr(), stride: POINTS * depth },
                    Rows { start: patches[point * tiles..].as_ptr(), stride: POINTS * tiles },
                    Rows { start: sums[point * tiles..].as_mut_ptr(), stride: POINTS * tiles },
                    false,
                );
            }
        }
    }
}

fn buffer(len: usize) -> Vec<Lanes> {
    vec![Lanes::ZERO; len]
}

/// A thread's scratch behind the products. Sums at points that vanish stay the zeros they are made as.
struct Products {
    sums: Vec<Lanes>,
    width: usize,
    /// The four rows of the tiles of one channel, in order of columns.
    strip: Vec<Lanes>,
}

impl Products {
    fn new(channels: usize, width: usize) -> Self {
        Self { sums: buffer(channels * POINTS * width), width, strip: buffer(TILE * TILE * width) }
    }

    /// Interpolates the tiles of the channels of `block` and writes them to their images.
    fn emit(&mut self, conv: &Conv, block: Range<usize>, tiles: Range<usize>, out: &Shared<f32>) {
        for (channel, sums) in block.zip(self.sums.chunks_exact(POINTS * self.width)) {
            interpolate(conv.points, sums, conv.bias.map_or(0.0, |bias| bias[channel]), &mut self.strip);
            conv.write(channel, tiles.clone(), bytemuck::cast_slice(&self.strip), out);
        }
    }
}

impl Conv<'_> {
    /// Copies rows of tiles to where they belong, without what lies beyond the right and lower borders.
    fn write(&self, channel: usize, tiles: Range<usize>, strip: &[f32], out: &Shared<f32>) {
        let (height, width) = (self.shape.out_height(), self.shape.out_width());
        for run in self.grid.runs(tiles) {
            let plane = (run.image * self.shape.out_channels + channel) * height * width;
            let columns = (TILE * run.len).min(width - TILE * run.column);
            for (i, strip) in strip.chunks_exact(strip.len() / TILE).enumerate().take(height - TILE * run.row)
            {
                let start = plane + (TILE * run.row + i) * width + TILE * run.column;
                // SAFETY: each tile of each channel is written by one task, once.
                unsafe { out.part(start, columns) }.copy_from_slice(&strip[TILE * run.first..][..columns]);
            }
        }
    }
}
