//! Convolutions of the RQ-VAE on the CPU: Winograd where it is faster, otherwise matrix products over
//! gathered pixels (im2col).

use super::memory::zeros;
use super::product::{Rows, multiply};
use super::tasks::{Shared, block, blocks, for_each_task};
use super::vector::Instructions;
use super::winograd;

/// How a convolution changes the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Stride 1. A 3x3 kernel has zero padding of 1.
    Same,
    /// 3x3 with stride 2, padded with one zero row below and one zero column to the right, as in the
    /// published encoder.
    Down,
    /// Nearest upsampling by 2 in both directions, then 3x3 as in `Same`.
    Up,
}

impl Resample {
    /// Number of output rows or columns for `size` input rows or columns.
    pub fn size(self, size: usize) -> usize {
        match self {
            Self::Same => size,
            Self::Down => size / 2,
            Self::Up => 2 * size,
        }
    }
}

/// Sizes of a convolution. Tensors are NCHW, weights `[out_channels, in_channels, kernel, kernel]`.
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Kernel size: 1 or 3; always 3 unless `resample` is `Same`.
    pub kernel: usize,
    /// How a convolution changes the resolution.
    pub resample: Resample,
}

impl ConvShape {
    /// Rows of the output.
    pub fn out_height(&self) -> usize {
        self.resample.size(self.height)
    }

    /// Columns of the output.
    pub fn out_width(&self) -> usize {
        self.resample.size(self.width)
    }

    fn check(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) {
        assert!(
            self.kernel == 3 || self.kernel == 1 && self.resample == Resample::Same,
            "an unsupported convolution"
        );
        assert!(self.in_channels > 0, "no input channels in {self:?}");
        assert_eq!(
            x.len(),
            self.batch * self.in_channels * self.height * self.width,
            "length of the input of {self:?}"
        );
        assert_eq!(
            weight.len(),
            self.out_channels * self.in_channels * self.kernel.pow(2),
            "length of the weight of {self:?}"
        );
        assert!(bias.is_none_or(|bias| bias.len() == self.out_channels), "length of the bias of {self:?}");
    }
}

/// Convolves `x` `[batch, in_channels, height, width]` with `weight`
/// `[out_channels, in_channels, kernel, kernel]` and adds `bias` `[out_channels]`. The result is
/// `[batch, out_channels, out_height, out_width]`.
///
/// Accurate to 1e-5 relative to the largest magnitude of the result. Runs on the current thread pool.
///
/// # Panics
/// If the lengths of the slices do not match `shape`, or `ConvShape` does not allow the kernel size.
pub fn conv2d(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape) -> Vec<f32> {
    shape.check(x, weight, bias);
    let mut out = zeros(shape.batch * shape.out_channels * shape.out_height() * shape.out_width());
    if out.is_empty() {
        return out;
    }
    if winograd::pays(shape) {
        winograd::convolve(x, weight, bias, shape, &mut out);
    } else {
        convolve_gathered(x, weight, bias, shape, &mut out);
    }
    out
}

/// Approximate number of gathered pixels in a thread's scratch: a part of the L2 cache.
const GATHERED: usize = 96 * 1024;

/// Chunks of pixels are a multiple of this, the height of the widest matrix kernel.
const PIXELS: usize = 64;

/// Multiplies the weights by gathered pixels. Each task handles one chunk of pixels and one block of output
/// channels.
fn convolve_gathered(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape, out: &mut [f32]) {
    let taps = shape.kernel.pow(2);
    let depth = shape.in_channels * taps;
    let pixels = shape.out_height() * shape.out_width();
    let chunk = (GATHERED / depth / PIXELS * PIXELS).clamp(PIXELS, 16 * PIXELS);
    let chunks = pixels.div_ceil(chunk);
    // A small image has too few chunks to occupy every thread, so its channels are also split into blocks,
    // each of which gathers the pixels again.
    let wanted = (2 * rayon::current_num_threads()).div_ceil(shape.batch * chunks);
    let blocks = blocks(shape.out_channels, wanted);
    let (out, instructions) = (Shared::new(out), Instructions::best());
    for_each_task(
        shape.batch * chunks * blocks,
        || vec![0.0; if taps == 1 { 0 } else { depth * chunk }],
        |gathered, task| {
            let (image, part) = (task / (chunks * blocks), task % (chunks * blocks));
            let first_pixel = part / blocks * chunk;
            let count = chunk.min(pixels - first_pixel);
            let channels = block(shape.out_channels, blocks, part % blocks);
            let size = shape.height * shape.width;
            let image_in = &x[image * shape.in_channels * size..][..shape.in_channels * size];
            let columns = if taps == 1 {
                Rows { start: &image_in[first_pixel..], stride: pixels }
            } else {
                instructions.run(
                    #[inline(always)]
                    || gather(image_in, shape, first_pixel, count, gathered),
                );
                Rows { start: &gathered[..], stride: count }
            };
            for channel in channels.clone() {
                let start = (image * shape.out_channels + channel) * pixels + first_pixel;
                // SAFETY: only this task writes its pixels of its channels, and this part ends with the
                // iteration.
                unsafe { out.part(start, count) }.fill(bias.map_or(0.0, |bias| bias[channel]));
            }
            let start = (image * shape.out_channels + channels.start) * pixels + first_pixel;
            let span = (channels.len() - 1) * pixels + count;
            let weight = &weight[channels.start * depth..channels.end * depth];
            assert!((depth - 1) * columns.stride + count <= columns.start.len(), "too few gathered pixels");
            // SAFETY: the ends of the operands are checked above and by `span`, and only this task writes
            // this output.
            unsafe {
                multiply(
                    [channels.len(), depth, count],
                    Rows { start: weight.as_ptr(), stride: depth },
                    Rows { start: columns.start.as_ptr(), stride: columns.stride },
                    Rows { start: out.span(start, span), stride: pixels },
                    true,
                );
            }
        },
    );
}

/// For each channel and each of the nine taps, writes the tap's inputs for `count` output pixels from
/// `first_pixel` on.
#[inline(always)]
fn gather(image: &[f32], shape: &ConvShape, first_pixel: usize, count: usize, gathered: &mut [f32]) {
    let size = shape.height * shape.width;
    for (row, values) in gathered[..shape.in_channels * 9 * count].chunks_exact_mut(count).enumerate() {
        let (channel, tap) = (row / 9, row % 9);
        gather_tap(&image[channel * size..][..size], shape, tap / 3, tap % 3, first_pixel, values);
    }
}

/// Gathers the inputs of the tap at (`dy`, `dx`) of a 3x3 kernel for the output pixels from `first_pixel` on.
#[inline(always)]
fn gather_tap(
    plane: &[f32],
    shape: &ConvShape,
    dy: usize,
    dx: usize,
    first_pixel: usize,
    values: &mut [f32],
) {
    let width = shape.out_width();
    let mut done = 0;
    while done < values.len() {
        let (y, x) = ((first_pixel + done) / width, (first_pixel + done) % width);
        let len = (width - x).min(values.len() - done);
        let run = &mut values[done..][..len];
        done += len;
        match source_row(shape, y, dy) {
            Some(source) => {
                gather_run(&plane[source * shape.width..][..shape.width], shape.resample, x, dx, run)
            }
            None => run.fill(0.0),
        }
    }
}

/// The input row that a tap in row `dy` reads for output row `y`; `None` for padding.
#[inline(always)]
fn source_row(shape: &ConvShape, y: usize, dy: usize) -> Option<usize> {
    let row = match shape.resample {
        Resample::Same => (y + dy).checked_sub(1)?,
        Resample::Down => 2 * y + dy,
        Resample::Up => (y + dy).checked_sub(1)? / 2,
    };
    (row < shape.height).then_some(row)
}

/// Gathers the inputs of a tap in column `dx` from one input row, for the output columns from `x` on.
#[inline(always)]
fn gather_run(row: &[f32], resample: Resample, x: usize, dx: usize, run: &mut [f32]) {
    match resample {
        Resample::Same => {
            let zeros = usize::from(x + dx == 0);
            let source = &row[(x + dx).saturating_sub(1).min(row.len())..];
            let (before, rest) = run.split_at_mut(zeros);
            let (inside, after) = rest.split_at_mut(source.len().min(rest.len()));
            before.fill(0.0);
            inside.copy_from_slice(&source[..inside.len()]);
            after.fill(0.0);
        }
        Resample::Down => {
            let source = &row[2 * x + dx..];
            let inside = source.len().div_ceil(2).min(run.len());
            let (whole, last) = source.as_chunks::<2>();
            for (value, pair) in run.iter_mut().zip(whole) {
                *value = pair[0];
            }
            if inside > whole.len() {
                run[whole.len()] = last[0];
            }
            run[inside..].fill(0.0);
        }
        Resample::Up => {
            for (i, value) in run.iter_mut().enumerate() {
                *value = (x + i + dx).checked_sub(1).and_then(|x| row.get(x / 2)).copied().unwrap_or(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::noise::{noise, relative_error};

    /// The definition in double precision.
    fn defined(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape) -> Vec<f64> {
        let (height, width, k) = (shape.height, shape.width, shape.kernel);
        let (stride, scale, pad) = match shape.resample {
            Resample::Same => (1, 1, (k - 1) / 2),
            Resample::Down => (2, 1, 0),
            Resample::Up => (1, 2, 1),
        };
        let pixel = |image: usize, channel: usize, y: usize, x_: usize| {
            let (Some(y), Some(x_)) = (y.checked_sub(pad), x_.checked_sub(pad)) else { return 0.0 };
            let (y, x_) = (y / scale, x_ / scale);
            let inside = y < height && x_ < width;
            let plane = (image * shape.in_channels + channel) * height * width;
            if inside { f64::from(x[plane + y * width + x_]) } else { 0.0 }
        };
        let mut out = Vec::new();
        for image in 0..shape.batch {
            for channel in 0..shape.out_channels {
                for y in 0..shape.out_height() {
                    for x_ in 0..shape.out_width() {
                        let mut sum = bias.map_or(0.0, |bias| f64::from(bias[channel]));
                        for tap in 0..shape.in_channels * k * k {
                            let (input, dy, dx) = (tap / (k * k), tap / k % k, tap % k);
                            let weight = weight[channel * shape.in_channels * k * k + tap];
                            sum += f64::from(weight) * pixel(image, input, y * stride + dy, x_ * stride + dx);
                        }
                        out.push(sum);
                    }
                }
            }
        }
        out
    }

    /// The largest difference from the definition, relative to the largest magnitude of the result.
    fn error(shape: &ConvShape, biased: bool) -> f64 {
        let x = noise(shape.batch * shape.in_channels * shape.height * shape.width, 1);
        let weight = noise(shape.out_channels * shape.in_channels * shape.kernel.pow(2), 2);
        let bias = noise(shape.out_channels, 3);
        let bias = biased.then_some(&bias[..]);
        let expected = defined(&x, &weight, bias, shape);
        relative_error(&conv2d(&x, &weight, bias, shape), &expected, 1e-30)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn matches_the_definition(
            batch in 1_usize..4,
            in_channels in 1_usize..40,
            out_channels in 1_usize..70,
            height in 1_usize..24,
            width in 1_usize..24,
            kind in 0..4,
            biased: bool,
        ) {
            let (kernel, resample) = [
                (1, Resample::Same),
                (3, Resample::Same),
                (3, Resample::Down),
                (3, Resample::Up),
            ][kind as usize];
            let shape = ConvShape { batch, in_channels, out_channels, height, width, kernel, resample };
            let error = error(&shape, biased);
            prop_assert!(error.is_finite() && error < 1e-5, "{shape:?} is off by {error}");
        }
    }

    #[test]
    fn many_channels_stay_accurate() {
        for (resample, size) in
            [(Resample::Same, 16), (Resample::Up, 8), (Resample::Same, 64), (Resample::Down, 32)]
        {
            let out_channels = if size == 64 { 2 } else { 8 };
            let shape = ConvShape {
                batch: 1,
                in_channels: 512,
                out_channels,
                height: size,
                width: size,
                kernel: 3,
                resample,
            };
            let error = error(&shape, true);
            assert!(error < 1e-5, "{shape:?} is off by {error}");
        }
    }

    /// Convolves `x` `[batch, in_channels, height, width]` on `threads` threads.
    fn on(threads: usize, x: &[f32], weight: &[f32], shape: &ConvShape) -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| conv2d(x, weight, None, shape))
    }

    #[test]
    fn results_do_not_depend_on_threads_or_batch() {
        let kinds = [
            (Resample::Same, 3, 40),
            (Resample::Same, 3, 12),
            (Resample::Same, 3, 5),
            (Resample::Same, 1, 9),
            (Resample::Up, 3, 9),
            (Resample::Down, 3, 21),
        ];
        for ((resample, kernel, size), out_channels) in
            kinds.into_iter().flat_map(|kind| [(kind, 3), (kind, 97)])
        {
            let shape = |batch| {
                let (in_channels, height, width) = (530, size, size);
                ConvShape { batch, in_channels, out_channels, height, width, kernel, resample }
            };
            let x = noise(3 * 530 * size * size, 1);
            let weight = noise(out_channels * 530 * kernel * kernel, 2);
            let batch = on(1, &x, &weight, &shape(3));
            assert!(batch == on(2, &x, &weight, &shape(3)), "two threads: {:?}", shape(3));
            assert!(batch == on(7, &x, &weight, &shape(3)), "seven threads: {:?}", shape(3));
            let alone: Vec<f32> = x.chunks(x.len() / 3).flat_map(|x| on(2, x, &weight, &shape(1))).collect();
            assert!(batch == alone, "one by one: {:?}", shape(3));
        }
    }
}
