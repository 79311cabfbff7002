//! Checks the GPU kernels against their CPU references on the current GPU. A shader that a driver miscompiles
//! or a browser rejects raises no error: the result is then whatever was in memory before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use burn::tensor::{DType, Device, Tensor, TensorData};
use web_time::Instant;

use super::attention::Reach;
use super::cpu::linear::Block;
use super::cube::{
    conv2d_variants, few_rows_variant, linear_variant, matmul_variants, residual_quantize_variant,
};
use super::embed::{self, Lookup, embed_codes};
use super::quantize::{Codebook, Codebooks, residual_quantize};
use super::sample_token::{Draw, sample_token};
use super::{
    Activation, GpuKernel, KvCache, Resample, Variant, Weights, attention, conv2d, group_norm, half_noise,
    layer_norm, linear, matmul, noise,
};
use residua_core::error::{Error, Result};
use residua_core::sampling::Filter;
pub use residua_core::trust::Checked;

/// A check of one variant of a kernel.
pub struct Check {
    /// The variant.
    pub variant: Variant,
    /// Description of the input.
    pub shape: String,
    /// Largest difference allowed, relative to the largest expected magnitude.
    pub tolerance: f32,
    /// Runs the operation on the given device: with the kernel on a GPU, with the CPU reference on the CPU.
    pub work: Box<dyn Fn(&Device) -> Reading>,
}

/// Values being read back from a device.
pub type Reading = Pin<Box<dyn Future<Output = Result<Vec<f32>>>>>;

/// Every variant of every kernel at a small shape that is not a multiple of its tiles.
pub fn checks() -> Vec<Check> {
    let mut checks = vec![
        convolution([5, 7, 9, 11], Resample::Same),
        convolution([5, 7, 9, 11], Resample::Down),
        convolution([5, 7, 48, 48], Resample::Up),
        convolution([5, 3, 35, 37], Resample::Same),
        group_norm(),
        layer_norm(),
        product(1, [35, 29, 41]),
        product(3, [70, 13, 690]),
        product(1, [5, 9, 530]),
        product(1, [530, 9, 3]),
        widening([19, 64], EIGHT_BITS),
        widening([19, 37], HALF),
        decode_attention(),
        whole_attention(Reach::All),
        whole_attention(Reach::Before),
        draw(),
        embedding(),
    ];
    checks.extend(different([5, 13, 77, 530].map(quantization)));
    for rows in 1..=8 {
        for (kept, inputs, activation) in LAYERS {
            for of in [layer, normed_layer] {
                checks
                    .extend(different(OUTPUTS.map(|outputs| of([rows, inputs, outputs], kept, activation))));
            }
        }
    }
    checks.extend(layers_of_many_rows());
    checks
}

/// Layers of many rows, for each tile; none on a device that computes them as matrix products.
fn layers_of_many_rows() -> Vec<Check> {
    let mut checks = Vec::new();
    for (kept, inputs, activation) in LAYERS {
        for (rows, outputs) in MANY_ROWS {
            if linear_variant(rows, inputs, kept.dtype, outputs).is_some() {
                checks.push(layer([rows, inputs, outputs], kept, activation));
            }
        }
    }
    checks
}

/// `checks` without those of the same variant as the one before. Which sizes have variants of their own depends on the
/// device.
fn different<const N: usize>(checks: [Check; N]) -> Vec<Check> {
    let mut checks = Vec::from(checks);
    checks.dedup_by_key(|check| check.variant);
    checks
}

/// The checks of `variant`.
pub fn checks_of(variant: Variant) -> Vec<Check> {
    checks().into_iter().filter(|check| check.variant == variant).collect()
}

/// Few and many outputs of a layer.
const OUTPUTS: [usize; 2] = [19, 2051];

/// Many rows and the outputs of a layer, for each tile of its kernel.
const MANY_ROWS: [(usize, usize); 3] = [(9, 19), (9, 1481), (33, 1500)];

/// Layers that, with 1 to 8 rows and few and many outputs, cover every variant of their kernels: how the
/// weights are stored, the number of inputs, and the activation. `None` adds a residual, unless the rows are
/// normalized first.
const LAYERS: [(Kept, usize, Option<Activation>); 3] =
    [(SINGLE, 36, Some(Activation::Gelu)), (HALF, 40, None), (EIGHT_BITS, 64, Some(Activation::QuickGelu))];

/// A way to store the weights of a layer.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub name: &'static str,
    pub dtype: DType,
    /// Makes weights of this shape.
    pub weights: fn([usize; 2], &Device) -> Weights,
}

/// All ways.
#[cfg(not(target_family = "wasm"))]
pub(super) const KEPT: [Kept; 3] = [SINGLE, HALF, EIGHT_BITS];

const SINGLE: Kept =
    Kept { name: "f32", dtype: DType::F32, weights: |shape, device| noise(shape, 2, device).into() };
const HALF: Kept =
    Kept { name: "f16", dtype: DType::F16, weights: |shape, device| half_noise(shape, 2, device).into() };
const EIGHT_BITS: Kept = Kept { name: "8 bits", dtype: DType::I32, weights: eight_bits };
/// Runs `checks` on `device`, a GPU. Switches off the variants that are wrong, with a warning, and switches
/// on the others.
pub async fn check(checks: &[Check], device: &Device) -> Vec<Checked> {
    let mut table = Vec::with_capacity(checks.len());
    for check in checks {
        // Otherwise Burn's operations would be checked.
        check.variant.switch(true);
        table.push(check.run(device).await);
    }
    for (check, found) in checks.iter().zip(&table).filter(|(_, found)| !found.ok) {
        check.variant.switch(false);
        let Checked { kernel, shape, difference, tolerance, .. } = found;
        tracing::warn!(
            "the GPU kernel {kernel:?} gives wrong results on this GPU ({shape}: off by {difference:.1e}, expected at most {tolerance:.1e}); \
             it is not used"
        );
    }
    table
}

impl Check {
    /// Whether `found` is a result of this check.
    pub fn made(&self, found: &Checked) -> bool {
        found.kernel == self.variant.kernel() && found.shape == self.shape
    }

    /// Runs the check with the kernel or, if it is off, with what replaces it.
    pub(super) async fn run(&self, device: &Device) -> Checked {
        let start = Instant::now();
        let found = on(device, &self.work).await;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let expected = on(&crate::device::cpu(), &self.work).await;
        let difference = match (found, expected) {
            (Ok(found), Ok(expected)) => difference(&found, &expected),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!("{:?}: {error}", self.variant);
                f32::INFINITY
            }
        };
        let (kernel, shape, tolerance) = (self.variant.kernel(), self.shape.clone(), self.tolerance);
        Checked { kernel, shape, ok: difference <= tolerance, difference, tolerance, ms }
    }
}

/// Runs `work` and turns a panic into an error.
async fn on(device: &Device, work: &dyn Fn(&Device) -> Reading) -> Result<Vec<f32>> {
    match catch_unwind(AssertUnwindSafe(|| work(device))) {
        Ok(reading) => reading.await,
        Err(_) => Err(Error::invalid("panicked")),
    }
}

/// The largest difference, relative to the largest expected magnitude. NaN counts as infinite.
pub(super) fn difference(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest);
    apart.fold(0.0, |most, apart| if apart <= most { most } else { apart.min(f32::INFINITY) })
}

fn close(variant: impl Into<Variant>, shape: String, work: impl Fn(&Device) -> Reading + 'static) -> Check {
    Check { variant: variant.into(), shape, tolerance: 1e-4, work: Box::new(work) }
}

fn exact(variant: impl Into<Variant>, shape: String, work: impl Fn(&Device) -> Reading + 'static) -> Check {
    Check { tolerance: 0.0, ..close(variant, shape, work) }
}

fn convolution([inputs, outputs, height, width]: [usize; 4], resample: Resample) -> Check {
    let (x, weight) = ([1, inputs, height, width], [outputs, inputs, 3, 3]);
    let shape = format!("3x3 {inputs}->{outputs} at {height}x{width}, {resample:?}");
    let [variant, _] = conv2d_variants(x, weight, resample);
    close(variant, shape, move |device| {
        let (weight, bias) = (noise(weight, 2, device), noise([outputs], 3, device));
        read(conv2d::conv2d(noise(x, 1, device), &weight, &bias, resample))
    })
}

fn group_norm() -> Check {
    close(GpuKernel::GroupNorm, "2x6 at 5x7 in 3 groups".into(), |device| {
        let x = noise([2, 6, 5, 7], 1, device);
        let (gamma, beta) = (noise([6], 2, device), noise([6], 3, device));
        read(group_norm::group_norm(x, &gamma, &beta, 3, 1e-6, true))
    })
}

fn layer_norm() -> Check {
    close(GpuKernel::LayerNorm, "3 rows of 77".into(), |device| {
        let (gamma, beta) = (noise([77], 2, device), noise([77], 3, device));
        read(layer_norm::layer_norm(noise([3, 77], 1, device), &gamma, &beta, 1e-5))
    })
}

/// With several matrices, the factors are transposed in memory.
fn product(matrices: usize, [rows, inner, columns]: [usize; 3]) -> Check {
    let shape = format!("{matrices} of {rows}x{inner} by {inner}x{columns}");
    let [variant, _] = matmul_variants(matrices, rows, columns);
    close(variant, shape, move |device| {
        let factor = |[rows, columns]: [usize; 2], seed| -> Tensor<3> {
            match matrices {
                1 => noise([1, rows, columns], seed, device),
                _ => noise([matrices, columns, rows], seed, device).swap_dims(1, 2),
            }
        };
        read(matmul::matmul(factor([rows, inner], 1), factor([inner, columns], 2)))
    })
}

fn layer([rows, inputs, outputs]: [usize; 3], kept: Kept, activation: Option<Activation>) -> Check {
    let variant = linear_variant(rows, inputs, kept.dtype, outputs);
    let shape = format!("{rows} rows of {inputs} to {outputs}, {}", kept.name);
    close(variant.expect("a kernel supports so many rows"), shape, move |device| {
        let (weights, bias) = ((kept.weights)([outputs, inputs], device), noise([outputs], 3, device));
        let x = noise([rows, inputs], 1, device);
        read(match activation {
            Some(activation) => linear::linear(x, &weights, &bias, activation),
            None => linear::linear_onto(x, &weights, &bias, noise([rows, outputs], 4, device)),
        })
    })
}

/// A layer after a norm, of rows with a mean far from zero.
fn normed_layer([rows, inputs, outputs]: [usize; 3], kept: Kept, activation: Option<Activation>) -> Check {
    let variant = few_rows_variant(GpuKernel::NormedLinear, rows, inputs, kept.dtype, outputs);
    let shape = format!("{rows} rows of {inputs} to {outputs}, {}", kept.name);
    close(variant.expect("the kernel supports few rows"), shape, move |device| {
        let (weights, bias) = ((kept.weights)([outputs, inputs], device), noise([outputs], 3, device));
        let (gamma, beta) = (noise([inputs], 4, device), noise([inputs], 5, device));
        let x = noise([rows, inputs], 1, device) + 2.0;
        let activation = activation.unwrap_or(Activation::None);
        read(linear::normed_linear(x, [&gamma, &beta], 1e-5, &weights, &bias, activation))
    })
}

fn widening(shape: [usize; 2], kept: Kept) -> Check {
    let [outputs, inputs] = shape;
    exact(GpuKernel::Widen, format!("{outputs}x{inputs}, {}", kept.name), move |device| {
        read((kept.weights)(shape, device).single())
    })
}

fn decode_attention() -> Check {
    close(GpuKernel::DecodeAttention, "2x3 heads of 10, third position".into(), |device| {
        let mut cache = KvCache::new(2, 3, 5, 10, device);
        let mut attend = |seed| attention::attend(noise([2, 1, 90], seed, device), 3, Some(&mut cache));
        attend(1);
        attend(2);
        read(attend(3))
    })
}

fn whole_attention(reach: Reach) -> Check {
    close(GpuKernel::Attention, format!("2x3 heads of 10, 21 positions, {reach:?}"), move |device| {
        let qkv = noise([2, 21, 90], 1, device);
        read(match reach {
            Reach::All => attention::attend_all(qkv, 3),
            Reach::Before => attention::attend(qkv, 3, None),
        })
    })
}

fn draw() -> Check {
    exact(GpuKernel::SampleToken, "5 rows of 700".into(), |device| {
        let filter = Filter { temperature: 0.3, top_k: 250, top_p: 0.92, ..Filter::NONE };
        let draw = Draw { filter, seed: 5, first_image: 0, image_step: 1, place: 3, turns: None };
        reading(sample_token(noise([5, 700], 1, device), &draw).into_data_async())
    })
}

fn quantization(rows: usize) -> Check {
    let variant = residual_quantize_variant(rows, 9, 2).expect("the kernel supports few residuals");
    close(variant, format!("{rows} rows of 9, 2 codes of 70"), move |device| {
        let codebooks = Codebooks::shared(Codebook::new(noise([70, 9], 2, device)), 2);
        let found = residual_quantize(noise([rows, 9], 1, device), &codebooks);
        let [depth, rows, channels] = found.partial_sums.dims();
        let sums = found.partial_sums.reshape([rows * depth * channels]);
        let squares = found.squares.reshape([rows * depth]);
        // Comparing sums compares codes: equal codes have equal sums.
        read(Tensor::cat(vec![sums, squares], 0))
    })
}

fn embedding() -> Check {
    close(GpuKernel::EmbedCodes, "5x3 codes of 11, running sums".into(), |device| {
        let codebooks = Codebooks::shared(Codebook::new(noise([20, 11], 2, device)), 3);
        let codes = TensorData::new((0..15).map(|i| i * 7 % 20).collect::<Vec<i32>>(), [5, 3]);
        let lookup = Lookup::first(3, embed::Reading::RunningSums);
        let codes = Tensor::from_data(codes, device);
        read(embed_codes(codes, codebooks.table(), lookup, Some(noise([1, 11], 3, device))))
    })
}

fn eight_bits([outputs, inputs]: [usize; 2], device: &Device) -> Weights {
    let values: Vec<f32> = (0..outputs * inputs).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    Weights::from_blocks(&Block::round(&values), [outputs, inputs], device)
}

fn read<const D: usize>(tensor: Tensor<D>) -> Reading {
    reading(tensor.into_data_async())
}

fn reading<E: std::fmt::Debug>(data: impl Future<Output = Result<TensorData, E>> + 'static) -> Reading {
    Box::pin(async move {
        let data = data.await.map_err(|e| Error::invalid(format!("{e:?}")))?;
        Ok(data.convert::<f32>().try_to_vec().expect("converted to f32 just above"))
    })
}
