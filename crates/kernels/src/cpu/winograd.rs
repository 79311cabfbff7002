//! 3x3 convolutions with stride 1 by Winograd's F(4x4, 3x3): 36 products for 16 outputs instead of 144.
//!
//! (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308.) Each 4x4 tile of
//! the output depends on a 6x6 patch of the input. Patch and kernel are treated as polynomials in each
//! direction and evaluated at six points. At each of the 36 pairs of points a matrix product mixes the
//! channels, and interpolation gives the tile.
//!
//! After nearest upsampling, the polynomial of a patch has the factor 1 + x and vanishes at -1, so 11 of the
//! 36 products can be skipped.

mod transform;

use std::ops::Range;

use super::conv2d::{ConvShape, Resample};
use rayon::prelude::*;

use super::product::{Rows, multiply};
use super::tasks::{Shared, block, blocks, for_each_task};
use super::vector::{Instructions, Line, WIDEST};
use transform::{MINUS_A, PATCH, POINTS, Patches, Points, QUADS, TILE, Tiles, Weights};

/// Lines of tiles that a thread processes at once: the height of the widest matrix kernel.
const CHUNK: usize = 4;
/// Output channels that a thread processes at once, so that their products stay in the L2 cache.
const BLOCK: usize = 96;

/// Whether this is the fastest way to compute `shape`. The answer does not depend on the batch, so an image
/// comes out the same in every batch.
pub(super) fn pays(shape: &ConvShape) -> bool {
    let Grid { rows, columns, .. } = Grid::of(shape);
    shape.kernel == 3 && shape.resample != Resample::Down && rows * columns >= WIDEST / 2
}

/// Convolves `x` with `weight`, adds `bias` and writes the result to `out`. `shape.kernel` is 3.
pub(super) fn convolve(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape, out: &mut [f32]) {
    let points = if shape.resample == Resample::Up { Points::UPSAMPLED } else { Points::ACCURATE };
    // Odd, so that the points of one channel do not all map to the same few cache sets.
    let depth = shape.in_channels.div_ceil(WIDEST) | 1;
    let (grid, instructions) = (Grid::of(shape), Instructions::best());
    let conv = Conv { x, weight, bias, shape, grid, points, depth, instructions };
    let out = Shared::new(out);
    // Transform the smaller of weights and patches first, since every thread needs all of it.
    if conv.grid.tiles() > shape.out_channels { conv.by_tiles(&out) } else { conv.by_channels(&out) }
}

/// The tiles of all images in a batch, numbered row by row.
#[derive(Clone, Copy)]
struct Grid {
    images: usize,
    rows: usize,
    columns: usize,
}

/// Adjacent tiles of one row.
struct Run {
    image: usize,
    row: usize,
    column: usize,
    /// Index of the first tile within the chunk.
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

/// One convolution. Its transformed operands are patches `[in_channels, POINTS, tiles]`, weights
/// `[out_channels, POINTS, in_channels]`, and their products `[out_channels, POINTS, tiles]`, with tiles and
/// input channels stored in lines.
struct Conv<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    shape: &'a ConvShape,
    grid: Grid,
    points: Points,
    /// Lines of input channels.
    depth: usize,
    instructions: Instructions,
}

impl Conv<'_> {
    /// Transforms the weights first. Each task is then a chunk of tiles.
    fn by_tiles(&self, out: &Shared<f32>) {
        let channels = self.shape.out_channels;
        let weights = self.transformed_weights();
        let stride = POINTS * self.depth;
        let blocks = blocks(channels, channels.div_ceil(BLOCK));
        for_each_task(
            self.grid.tiles().div_ceil(CHUNK * WIDEST),
            || {
                let patches = buffer(self.shape.in_channels * POINTS * CHUNK);
                (patches, buffer(QUADS * CHUNK), Products::new(channels.div_ceil(blocks), CHUNK))
            },
            |(patches, quads, products), task| {
                let first = task * CHUNK * WIDEST;
                let tiles = first..self.grid.tiles().min(first + CHUNK * WIDEST);
                for (channel, patches) in patches.chunks_exact_mut(POINTS * CHUNK).enumerate() {
                    self.transform_patches(channel, tiles.clone(), quads, patches);
                }
                for block in (0..blocks).map(|index| block(channels, blocks, index)) {
                    let weights = &weights[block.start * stride..block.end * stride];
                    self.mix(patches, weights, CHUNK, &mut products.sums);
                    products.emit(self, block, tiles.clone(), out);
                }
            },
        );
    }

    /// Transforms the patches first. Each task is then a block of output channels.
    fn by_channels(&self, out: &Shared<f32>) {
        let channels = self.shape.out_channels;
        let width = self.grid.tiles().div_ceil(WIDEST);
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
                    self.transform_weights(channel, weights);
                }
                self.mix(&patches, weights, width, &mut products.sums);
                products.emit(self, block, 0..self.grid.tiles(), out);
            },
        );
    }

    fn transformed_weights(&self) -> Vec<Line> {
        let stride = POINTS * self.depth;
        let mut weights = buffer(self.shape.out_channels * stride);
        weights
            .par_chunks_mut(stride)
            .enumerate()
            .for_each(|(channel, weights)| self.transform_weights(channel, weights));
        weights
    }

    fn transformed_patches(&self, width: usize) -> Vec<Line> {
        let mut patches = buffer(self.shape.in_channels * POINTS * width);
        patches.par_chunks_mut(POINTS * width).enumerate().for_each_init(
            || buffer(QUADS * width),
            |quads, (channel, patches)| self.transform_patches(channel, 0..self.grid.tiles(), quads, patches),
        );
        patches
    }

    fn transform_weights(&self, channel: usize, out: &mut [Line]) {
        self.instructions.run(Weights { conv: self, channel, out: bytemuck::cast_slice_mut(out) });
    }

    fn transform_patches(&self, channel: usize, tiles: Range<usize>, quads: &mut [Line], out: &mut [Line]) {
        let (quads, out) = (bytemuck::cast_slice_mut(quads), bytemuck::cast_slice_mut(out));
        self.instructions.run(Patches { conv: self, channel, tiles, quads, out });
    }

    /// Mixes the channels at each point that is not known to be zero.
    fn mix(&self, patches: &[Line], weights: &[Line], width: usize, sums: &mut [Line]) {
        let channels = weights.len() / (POINTS * self.depth);
        let (inputs, tiles, depth) = (self.shape.in_channels, width * WIDEST, self.depth * WIDEST);
        assert!(patches.len() >= inputs * POINTS * width && sums.len() >= channels * POINTS * width);
        let (patches, weights) =
            (bytemuck::cast_slice::<_, f32>(patches), bytemuck::cast_slice::<_, f32>(weights));
        let sums = bytemuck::cast_slice_mut::<_, f32>(sums);
        let vanishes = |i| self.shape.resample == Resample::Up && i == MINUS_A;
        for point in (0..POINTS).filter(|point| !vanishes(point / PATCH) && !vanishes(point % PATCH)) {
            // SAFETY: channel `c` of point `p` is `[c, p]` in each operand, and the lengths are checked
            // above.
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

fn buffer(len: usize) -> Vec<Line> {
    vec![Line::ZERO; len]
}

/// A thread's scratch for the products. Sums at vanishing points keep their initial zeros.
struct Products {
    sums: Vec<Line>,
    width: usize,
    /// The four rows of one channel's tiles, in column order.
    strip: Vec<Line>,
}

impl Products {
    fn new(channels: usize, width: usize) -> Self {
        Self { sums: buffer(channels * POINTS * width), width, strip: buffer(TILE * TILE * width) }
    }

    /// Interpolates the tiles of the channels of `block` and writes them to their images.
    fn emit(&mut self, conv: &Conv, block: Range<usize>, tiles: Range<usize>, out: &Shared<f32>) {
        for (channel, sums) in block.zip(self.sums.chunks_exact(POINTS * self.width)) {
            let (sums, strip) = (bytemuck::cast_slice(sums), bytemuck::cast_slice_mut(&mut self.strip));
            let bias = conv.bias.map_or(0.0, |bias| bias[channel]);
            conv.instructions.run(Tiles { points: conv.points, sums, bias, strip });
            conv.write(channel, tiles.clone(), strip, out);
        }
    }
}

impl Conv<'_> {
    /// Copies rows of tiles to the output, clipped at the right and lower borders.
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
