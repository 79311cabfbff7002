//! Whether the GPU kernels compute, on the GPU at hand, what their plain twins compute. A shader that a driver gets wrong,
//! or that a browser refuses, says nothing by itself: the result is then what was in memory before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use burn::tensor::{Device, Tensor, TensorData};
use web_time::Instant;

use super::cpu::linear::Block;
use super::embed::{self, Lookup, embed_codes};
use super::quantize::{Codebook, Codebooks, residual_quantize};
use super::sample_token::{Draw, sample_token};
use super::{Activation, GpuKernel, KvCache, Resample, Weights};
use super::{attention, conv2d, group_norm, half_noise, layer_norm, linear, matmul, noise};
use crate::error::{Error, Result};
use crate::generate::Filter;
pub use crate::trust::Checked;

/// What is done to check a kernel.
pub struct Check {
    /// The kernel.
    pub kernel: GpuKernel,
    /// What it is given.
    pub shape: &'static str,
    /// Largest difference allowed, of the largest magnitude expected.
    pub tolerance: f32,
    /// The same work on the device that it is given: by the kernel on a GPU, by its plain twin on a CPU.
    pub work: fn(&Device) -> Reading,
}

/// Values on their way back from a device.
pub type Reading = Pin<Box<dyn Future<Output = Result<Vec<f32>>>>>;

/// Small shapes in no proportion to the kernels' tiles; each shader, in each of the variants that differ by more than a size.
pub const CHECKS: &[Check] = &[
    Check {
        kernel: GpuKernel::Conv2d,
        shape: "3x3 5->7 at 9x11",
        tolerance: 1e-4,
        work: |device| convolution(Resample::Same, device),
    },
    Check {
        kernel: GpuKernel::Conv2d,
        shape: "3x3 5->7 at 9x11 to half",
        tolerance: 1e-4,
        work: |device| convolution(Resample::Down, device),
    },
    Check {
        kernel: GpuKernel::Conv2d,
        shape: "3x3 5->7 at 48x48 to twice",
        tolerance: 1e-4,
        work: |device| {
            let (weight, bias) = (noise([7, 5, 3, 3], 2, device), noise([7], 3, device));
            read(conv2d::conv2d(noise([1, 5, 48, 48], 1, device), &weight, &bias, Resample::Up))
        },
    },
    Check {
        kernel: GpuKernel::Conv2d,
        shape: "3x3 5->3 at 35x37",
        tolerance: 1e-4,
        work: |device| {
            let (weight, bias) = (noise([3, 5, 3, 3], 2, device), noise([3], 3, device));
            read(conv2d::conv2d(noise([1, 5, 35, 37], 1, device), &weight, &bias, Resample::Same))
        },
    },
    Check {
        kernel: GpuKernel::GroupNorm,
        shape: "2x6 at 5x7 in 3 groups",
        tolerance: 1e-4,
        work: |device| {
            let x = noise([2, 6, 5, 7], 1, device);
            let (gamma, beta) = (noise([6], 2, device), noise([6], 3, device));
            read(group_norm::group_norm(x, &gamma, &beta, 3, 1e-6, true))
        },
    },
    Check {
        kernel: GpuKernel::LayerNorm,
        shape: "3 rows of 77",
        tolerance: 1e-4,
        work: |device| {
            let (gamma, beta) = (noise([77], 2, device), noise([77], 3, device));
            read(layer_norm::layer_norm(noise([3, 77], 1, device), &gamma, &beta, 1e-5))
        },
    },
    Check {
        kernel: GpuKernel::DecodeLinear,
        shape: "3 rows of 36 to 19, f32",
        tolerance: 1e-4,
        work: |device| {
            let (weight, bias): (Tensor<2>, _) = (noise([19, 36], 2, device), noise([19], 3, device));
            read(linear::linear(noise([3, 36], 1, device), &weight.into(), &bias, Activation::Gelu))
        },
    },
    Check {
        kernel: GpuKernel::DecodeLinear,
        shape: "1 row of 36 to 19, f16",
        tolerance: 1e-4,
        work: |device| {
            let (bias, residual) = (noise([19], 3, device), noise([1, 19], 4, device));
            read(linear::linear_onto(
                noise([1, 36], 1, device),
                &half_noise([19, 36], 2, device).into(),
                &bias,
                residual,
            ))
        },
    },
    Check {
        kernel: GpuKernel::DecodeLinear,
        shape: "3 rows of 64 to 19, 8 bits",
        tolerance: 1e-4,
        work: |device| {
            let (weights, bias) = (eight_bits(device), noise([19], 3, device));
            read(linear::linear(noise([3, 64], 1, device), &weights, &bias, Activation::QuickGelu))
        },
    },
    Check {
        kernel: GpuKernel::DecodeLinear,
        shape: "8 rows of 36 to 2051, f32",
        tolerance: 1e-4,
        work: |device| {
            let (weight, bias): (Tensor<2>, _) = (noise([2051, 36], 2, device), noise([2051], 3, device));
            read(linear::linear(noise([8, 36], 1, device), &weight.into(), &bias, Activation::None))
        },
    },
    Check {
        kernel: GpuKernel::Matmul,
        shape: "35x29 by 29x41",
        tolerance: 1e-4,
        work: |device| read(matmul::matmul::<2>(noise([35, 29], 1, device), noise([29, 41], 2, device))),
    },
    Check {
        kernel: GpuKernel::Matmul,
        shape: "3 of 70x13 by 13x690, transposed",
        tolerance: 1e-4,
        work: |device| {
            let (a, b): (Tensor<3>, Tensor<3>) =
                (noise([3, 13, 70], 1, device), noise([3, 690, 13], 2, device));
            read(matmul::matmul(a.swap_dims(1, 2), b.swap_dims(1, 2)))
        },
    },
    Check {
        kernel: GpuKernel::Matmul,
        shape: "5x9 by 9x530",
        tolerance: 1e-4,
        work: |device| read(matmul::matmul::<2>(noise([5, 9], 1, device), noise([9, 530], 2, device))),
    },
    Check {
        kernel: GpuKernel::Matmul,
        shape: "530x9 by 9x3",
        tolerance: 1e-4,
        work: |device| read(matmul::matmul::<2>(noise([530, 9], 1, device), noise([9, 3], 2, device))),
    },
    Check {
        kernel: GpuKernel::Widen,
        shape: "19x64, 8 bits",
        tolerance: 0.0,
        work: |device| read(eight_bits(device).single()),
    },
    Check {
        kernel: GpuKernel::Widen,
        shape: "19x37",
        tolerance: 0.0,
        work: |device| read(Weights::from(half_noise([19, 37], 2, device)).single()),
    },
    Check {
        kernel: GpuKernel::DecodeAttention,
        shape: "2x3 heads of 10, third position",
        tolerance: 1e-4,
        work: |device| {
            let mut cache = KvCache::new(2, 3, 5, 10, device);
            let mut attend = |seed| attention::attend(noise([2, 1, 90], seed, device), 3, Some(&mut cache));
            attend(1);
            attend(2);
            read(attend(3))
        },
    },
    Check {
        kernel: GpuKernel::SampleToken,
        shape: "5 rows of 700",
        tolerance: 0.0,
        work: |device| {
            let filter = Filter { temperature: 0.3, top_k: 250, top_p: 0.92, ..Filter::NONE };
            let draw = Draw { filter, seed: 5, first_image: 0, place: 3, turns: None };
            let codes = sample_token(noise([5, 700], 1, device), &draw);
            reading(codes.into_data_async())
        },
    },
    Check {
        kernel: GpuKernel::ResidualQuantize,
        shape: "5 rows of 9, 2 codes of 70",
        tolerance: 1e-4,
        work: |device| quantization(5, device),
    },
    Check {
        kernel: GpuKernel::ResidualQuantize,
        shape: "13 rows of 9, 2 codes of 70",
        tolerance: 1e-4,
        work: |device| quantization(13, device),
    },
    Check {
        kernel: GpuKernel::ResidualQuantize,
        shape: "77 rows of 9, 2 codes of 70",
        tolerance: 1e-4,
        work: |device| quantization(77, device),
    },
    Check {
        kernel: GpuKernel::EmbedCodes,
        shape: "5x3 codes of 11, running sums",
        tolerance: 1e-5,
        work: |device| {
            let codebooks = Codebooks::shared(Codebook::new(noise([20, 11], 2, device)), 3);
            let codes = TensorData::new((0..15).map(|i| i * 7 % 20).collect::<Vec<i32>>(), [5, 3]);
            let lookup = Lookup::first(3, embed::Reading::RunningSums);
            let codes = Tensor::from_data(codes, device);
            read(embed_codes(codes, codebooks.table(), lookup, Some(noise([1, 11], 3, device))))
        },
    },
];

/// 19 outputs of 64 inputs.
fn eight_bits(device: &Device) -> Weights {
    let values: Vec<f32> = (0..19 * 64).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    Weights::from_blocks(&Block::round(&values), [19, 64], device)
}

/// Does each of `checks` on `device`, a GPU, and switches off the kernels that are wrong, with a warning. One that is
/// right is on afterwards.
pub async fn check(checks: &[&Check], device: &Device) -> Vec<Checked> {
    let mut table = Vec::with_capacity(checks.len());
    for check in checks {
        // Else Burn's operations would be compared.
        check.kernel.switch(true);
        table.push(check.run(device).await);
    }
    for Checked { kernel, shape, difference, tolerance, .. } in table.iter().filter(|checked| !checked.ok) {
        kernel.switch(false);
        let instead = match GpuKernel::SUBSTITUTED {
            true => "Burn's own operations are used instead of it",
            false => "nothing here can be used instead of it",
        };
        tracing::warn!(
            "the GPU kernel {kernel:?} is wrong on this GPU ({shape}: off by {difference:.1e}, expected at most {tolerance:.1e}); \
             {instead}"
        );
    }
    table
}

impl Check {
    async fn run(&self, device: &Device) -> Checked {
        let start = Instant::now();
        let found = on(device, self.work).await;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let expected = on(&crate::device::cpu(), self.work).await;
        let difference = match (found, expected) {
            (Ok(found), Ok(expected)) => difference(&found, &expected),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!("{:?}: {error}", self.kernel);
                f32::INFINITY
            }
        };
        let Self { kernel, shape, tolerance, .. } = *self;
        let shape = shape.into();
        Checked { kernel, shape, ok: difference <= tolerance, difference, tolerance, ms }
    }
}

/// Does `work`; a panic in it is its failure and nobody else's.
async fn on(device: &Device, work: fn(&Device) -> Reading) -> Result<Vec<f32>> {
    match catch_unwind(AssertUnwindSafe(|| work(device))) {
        Ok(reading) => reading.await,
        Err(_) => Err(Error::invalid("panicked")),
    }
}

/// The largest difference, of the largest magnitude expected.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest);
    apart.fold(0.0, |most, apart| if apart <= most { most } else { apart.min(f32::INFINITY) })
}

fn convolution(resample: Resample, device: &Device) -> Reading {
    let (weight, bias) = (noise([7, 5, 3, 3], 2, device), noise([7], 3, device));
    read(conv2d::conv2d(noise([1, 5, 9, 11], 1, device), &weight, &bias, resample))
}

fn quantization(rows: usize, device: &Device) -> Reading {
    let codebooks = Codebooks::shared(Codebook::new(noise([70, 9], 2, device)), 2);
    let found = residual_quantize(noise([rows, 9], 1, device), &codebooks);
    let [depth, rows, channels] = found.partial_sums.dims();
    let sums = found.partial_sums.reshape([rows * depth * channels]);
    let squares = found.squares.reshape([rows * depth]);
    // Equal codes have equal sums.
    read(Tensor::cat(vec![sums, squares], 0))
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
