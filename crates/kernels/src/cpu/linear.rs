//! Linear layers for autoregressive decoding: there are few rows, so reading the weights dominates the time.
//!
//! A call from inside the thread pool (`rayon::scope` around a whole generation) is about 10 microseconds
//! cheaper than one from outside, which has to wake the pool and sleep until it is done.

mod block;
mod blocks;

use half::f16;
use rayon::prelude::*;

pub use super::activation::Activation;
use super::activation::{gelu, quick_gelu};
use super::vector::{Instructions, Kernel, Simd};
pub(super) use block::{Ahead, block};
pub use blocks::{Block, Blocks};

/// Outputs whose weights stay in the cache while all rows use them and the next group is prefetched. A
/// multiple of every block's outputs. For a single row the group is smaller: it is done so fast that a larger
/// prefetch would come too early.
const GROUP: usize = 24;
const GROUP_OF_ONE_ROW: usize = 4;

/// Weights times passes per task: about 5 microseconds, which is the cost of handing out a task.
const PIECE: usize = 1 << 18;

/// Weights as stored: row-major `[outputs, inputs]`, all finite.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision, widened in registers: half the memory traffic.
    F16(&'a [f16]),
    /// 8 bits, widened in registers: a quarter of the memory traffic, plus the scales.
    Blocks(Blocks<'a>),
}

/// `y[r, o] = activation(sum_i x[r, i] w[o, i] + bias[o]) + residual[r, o]`.
///
/// `x` is `[rows, inputs]`, `bias` `[outputs]`, `residual` and the result `[rows, outputs]`. The numbers of
/// rows and outputs follow from the lengths. A row's result depends neither on the other rows nor on the
/// number of threads.
///
/// # Panics
/// If the lengths do not match.
pub fn linear(
    x: &[f32],
    inputs: usize,
    weights: Weights,
    bias: Option<&[f32]>,
    activation: Activation,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let best = Instructions::best();
    match weights {
        Weights::F32(w) => Layer::new(x, inputs, w, bias, activation, residual).compute(best),
        Weights::F16(w) => Layer::new(x, inputs, w, bias, activation, residual).compute(best),
        Weights::Blocks(w) => Layer::new(x, inputs, w, bias, activation, residual).compute(best),
    }
}

/// The arguments of [`linear`] for one type of weights.
struct Layer<'a, W> {
    x: &'a [f32],
    weights: W,
    bias: Option<&'a [f32]>,
    activation: Activation,
    residual: Option<&'a [f32]>,
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl<'a, W: block::WeightSlice> Layer<'a, W> {
    fn new(
        x: &'a [f32],
        inputs: usize,
        weights: W,
        bias: Option<&'a [f32]>,
        activation: Activation,
        residual: Option<&'a [f32]>,
    ) -> Self {
        assert!(inputs > 0, "a linear layer needs inputs");
        let (rows, outputs) = (x.len() / inputs, weights.len() / inputs);
        assert_eq!(x.len(), rows * inputs, "x must be [rows, inputs]");
        assert_eq!(weights.len(), outputs * inputs, "the weights must be [outputs, inputs]");
        assert!(bias.is_none_or(|b| b.len() == outputs), "the bias must be [outputs]");
        assert!(residual.is_none_or(|r| r.len() == rows * outputs), "the residual must be [rows, outputs]");
        Self { x, weights, bias, activation, residual, rows, inputs, outputs }
    }

    /// Rows per pass over the weights, and the number of passes.
    fn passes(&self) -> (usize, usize) {
        let block = self.rows.next_power_of_two().min(4);
        (block, self.rows.div_ceil(block))
    }

    /// Splits the outputs into panels, which are distributed over the threads.
    fn compute(&self, instructions: Instructions) -> Vec<f32> {
        let mut y = vec![0.0; self.rows * self.outputs];
        if y.is_empty() {
            return y;
        }
        let width = (PIECE / (self.inputs * self.passes().1)).max(1).next_multiple_of(GROUP);
        let mut columns: Vec<_> =
            (0..self.outputs.div_ceil(width)).map(|_| Vec::with_capacity(self.rows)).collect();
        for row in y.chunks_mut(self.outputs) {
            for (column, part) in columns.iter_mut().zip(row.chunks_mut(width)) {
                column.push(part);
            }
        }
        let run = |(i, y)| instructions.run(Panel { layer: self, first: i * width, y });
        if columns.len() == 1 {
            columns.into_iter().enumerate().for_each(run);
        } else {
            columns.into_par_iter().enumerate().with_max_len(1).for_each(run);
        }
        y
    }
}

/// Some outputs of a layer, from `first` on, for all rows.
struct Panel<'a, W> {
    layer: &'a Layer<'a, W>,
    first: usize,
    /// The panel's part of each row of the result.
    y: Vec<&'a mut [f32]>,
}

impl<W: block::WeightSlice> Kernel for Panel<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let (block, passes) = self.layer.passes();
        let group = if block == 1 { GROUP_OF_ONE_ROW } else { GROUP };
        let width = self.y[0].len();
        let mut from = 0;
        while from < width {
            let to = width.min(from + group);
            // SAFETY: the features are those of `S`.
            unsafe {
                match (block, S::REGISTERS) {
                    (1, _) => self.group::<S, 1, 4>(from, to, passes),
                    (2, _) => self.group::<S, 2, 4>(from, to, passes),
                    (_, 32..) => self.group::<S, 4, 6>(from, to, passes),
                    _ => self.group::<S, 4, 3>(from, to, passes),
                }
            }
            from = to;
        }
        self.finish();
    }
}

impl<W: block::WeightSlice> Panel<'_, W> {
    /// Computes the outputs `from..to` of the panel, `R` rows by `O` outputs at a time.
    #[inline(always)]
    unsafe fn group<S: Simd, const R: usize, const O: usize>(
        &mut self,
        from: usize,
        to: usize,
        passes: usize,
    ) {
        let Layer { x, weights, rows, inputs, .. } = *self.layer;
        let first = self.first;
        let output = |at: usize| (first + at) * inputs;
        let next = weights.start().wrapping_add(output(to) * W::BYTES);
        let mut ahead = Ahead::new(next, passes);
        for row in (0..rows).step_by(R) {
            let mut starts = [x.as_ptr(); R];
            for (r, start) in starts.iter_mut().enumerate() {
                // Rows past the end repeat the last one: computed but not stored.
                *start = x[(row + r).min(rows - 1) * inputs..].as_ptr();
            }
            let mut at = from;
            let part = |at: usize, count: usize| weights.part(output(at)..output(at + count));
            // SAFETY: the rows begin at `starts`, and each part of the weights has as many outputs as the
            // block.
            unsafe {
                while at + O <= to {
                    let sums = block::<S, W, R, O>(starts, part(at, O), inputs, &mut ahead);
                    self.store(row, at, sums);
                    at += O;
                }
                while at < to {
                    let sums = block::<S, W, R, 1>(starts, part(at, 1), inputs, &mut ahead);
                    self.store(row, at, sums);
                    at += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn store<const R: usize, const O: usize>(&mut self, row: usize, at: usize, sums: [[f32; R]; O]) {
        for (r, y) in self.y[row..].iter_mut().take(R).enumerate() {
            for (y, sums) in y[at..at + O].iter_mut().zip(&sums) {
                *y = sums[r];
            }
        }
    }

    /// Applies bias, activation and residual.
    #[inline(always)]
    fn finish(self) {
        let Self { layer, first, y } = self;
        for (row, y) in y.into_iter().enumerate() {
            if let Some(bias) = layer.bias {
                add(y, &bias[first..]);
            }
            match layer.activation {
                Activation::None => {}
                Activation::Gelu => y.iter_mut().for_each(|y| *y = gelu(*y)),
                Activation::QuickGelu => y.iter_mut().for_each(|y| *y = quick_gelu(*y)),
            }
            if let Some(residual) = layer.residual {
                add(y, &residual[row * layer.outputs + first..]);
            }
        }
    }
}

/// Adds the first `y.len()` elements of `other` to `y`.
#[inline(always)]
fn add(y: &mut [f32], other: &[f32]) {
    for (y, other) in y.iter_mut().zip(other) {
        *y += other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::noise::noise;
    use proptest::prelude::*;

    const ACTIVATIONS: [Activation; 3] = [Activation::None, Activation::Gelu, Activation::QuickGelu];

    /// Weights in half precision, and the same widened to single.
    fn weights(len: usize, seed: u64) -> (Vec<f16>, Vec<f32>) {
        let half: Vec<f16> = noise(len, seed).into_iter().map(f16::from_f32).collect();
        let wide = half.iter().map(|w| w.to_f32()).collect();
        (half, wide)
    }

    /// Numbers and scales of weights in blocks, and the same widened to single.
    fn in_blocks(len: usize, seed: u64) -> (Vec<i8>, Vec<f32>, Vec<f32>) {
        let blocks = Block::round(&noise(len, seed));
        let numbers = blocks.iter().flat_map(|block| block.numbers).collect();
        let scales = blocks.iter().map(|block| block.scale).collect();
        (numbers, scales, blocks.iter().flat_map(Block::weights).collect())
    }

    /// erf by its series, which converges everywhere and is accurate enough below 4.
    fn erf(x: f64) -> f64 {
        if x.abs() > 4.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    /// One row in double precision.
    fn reference(x: &[f32], w: &[f32], bias: &[f32], activation: Activation, residual: &[f32]) -> Vec<f64> {
        let output = |(o, w): (usize, &[f32])| {
            let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            let y = sum + f64::from(bias[o]);
            let y = match activation {
                Activation::None => y,
                Activation::Gelu => y * (1.0 + erf(y / std::f64::consts::SQRT_2)) / 2.0,
                Activation::QuickGelu => y / (1.0 + (-1.702 * y).exp()),
            };
            y + f64::from(residual[o])
        };
        w.chunks(x.len()).enumerate().map(output).collect()
    }

    proptest! {
        #[test]
        fn matches_double_precision(
            rows in 1usize..40, inputs in 1usize..150, outputs in 1usize..150, seed in 0u64..1000, kind in 0usize..3,
        ) {
            let (x, bias) = (noise(rows * inputs, seed), noise(outputs, seed + 1));
            let residual = noise(rows * outputs, seed + 2);
            let (half, wide) = weights(outputs * inputs, seed + 3);
            let activation = ACTIVATIONS[kind];
            let expected: Vec<f64> = x
                .chunks(inputs)
                .zip(residual.chunks(outputs))
                .flat_map(|(x, residual)| reference(x, &wide, &bias, activation, residual))
                .collect();
            let largest = expected.iter().fold(1.0, |max: f64, y| max.max(y.abs()));
            for instructions in Instructions::all() {
                let with = (Some(&bias[..]), Some(&residual[..]));
                let half = Layer::new(&x, inputs, &half[..], with.0, activation, with.1).compute(instructions);
                let single = Layer::new(&x, inputs, &wide[..], with.0, activation, with.1).compute(instructions);
                prop_assert_eq!(&half, &single);
                for (y, expected) in half.iter().zip(&expected) {
                    let error = (f64::from(*y) - expected).abs() / largest;
                    prop_assert!(error < 1e-5, "{instructions:?}: {y} is not {expected}");
                }
            }
        }

        #[test]
        fn blocks_match_their_widened_weights(
            rows in 1usize..40, blocks in 1usize..9, outputs in 1usize..150, seed in 0u64..1000, kind in 0usize..3,
        ) {
            let inputs = blocks * Block::SIZE;
            let (x, bias) = (noise(rows * inputs, seed), noise(outputs, seed + 1));
            let residual = noise(rows * outputs, seed + 2);
            let (numbers, scales, wide) = in_blocks(outputs * inputs, seed + 3);
            let blocks = Blocks::new(&numbers, &scales);
            let with = (Some(&bias[..]), ACTIVATIONS[kind], Some(&residual[..]));
            for instructions in Instructions::all() {
                let found = Layer::new(&x, inputs, blocks, with.0, with.1, with.2).compute(instructions);
                let single = Layer::new(&x, inputs, &wide[..], with.0, with.1, with.2);
                prop_assert_eq!(found, single.compute(instructions));
            }
        }

        /// An image must not depend on its batch.
        #[test]
        fn rows_do_not_depend_on_each_other(
            rows in 2usize..20, inputs in 1usize..150, outputs in 1usize..150, seed in 0u64..1000,
        ) {
            let x = noise(rows * inputs, seed);
            let (half, _) = weights(outputs * inputs, seed + 3);
            for instructions in Instructions::all() {
                let compute = |x| {
                    Layer::new(x, inputs, &half[..], None, Activation::Gelu, None).compute(instructions)
                };
                let alone: Vec<f32> = x.chunks(inputs).flat_map(compute).collect();
                prop_assert_eq!(compute(&x), alone);
            }
        }
    }

    /// Nor do they depend on an output's place: its panel, group and block.
    #[test]
    fn results_do_not_depend_on_threads() {
        let (inputs, outputs) = (1024, 3072);
        let ((half, _), bias) = (weights(outputs * inputs, 1), noise(outputs, 2));
        for rows in [1, 8] {
            let (x, residual) = (noise(rows * inputs, 3), noise(rows * outputs, 4));
            let layer = |first: usize, count: usize| {
                let weights = Weights::F16(&half[first * inputs..][..count * inputs]);
                let residual: Vec<f32> =
                    residual.chunks(outputs).flat_map(|row| &row[first..][..count]).copied().collect();
                let bias = Some(&bias[first..][..count]);
                linear(&x, inputs, weights, bias, Activation::Gelu, Some(&residual))
            };
            let with = |threads| {
                let pool =
                    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
                pool.install(|| layer(0, outputs))
            };
            let one = with(1);
            assert_eq!(one, with(3));
            for first in [5, 1000, outputs - 13] {
                let rows = one.chunks(outputs).flat_map(|row| &row[first..][..13]);
                assert!(layer(first, 13).iter().eq(rows), "outputs from {first} on");
            }
        }
    }

    #[test]
    fn accepts_empty_operands() {
        let none = |x: &[f32], w: &[f32]| linear(x, 3, Weights::F32(w), None, Activation::None, None);
        assert!(none(&[], &[1.0; 6]).is_empty());
        assert!(none(&[1.0; 6], &[]).is_empty());
    }

    #[test]
    #[should_panic(expected = "x must be [rows, inputs]")]
    fn rejects_a_partial_row() {
        linear(&[1.0; 5], 3, Weights::F32(&[1.0; 6]), None, Activation::None, None);
    }
}
