//! The hand-written kernels against Burn's own operations, at shapes of the published models.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use super::median;
use super::stages::{milliseconds, timed};
use crate::engine::task::Task;
use crate::error::{Error, Result};
use crate::kernels::{Resample, conv2d, group_norm, values};

/// A kernel at one shape: medians of runs by turns.
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// The operation.
    pub kernel: &'static str,
    /// Its sizes.
    pub shape: String,
    /// Milliseconds of the kernel.
    pub ms: f64,
    /// Milliseconds of Burn's operations.
    pub burn_ms: f64,
    /// How many times faster the kernel is.
    pub ratio: f64,
    /// Billions of floating-point operations a second of the kernel, as the definition counts them.
    pub gflops: f64,
}

/// What is measured: an operation done in two ways.
struct Case {
    kernel: &'static str,
    shape: String,
    operations: f64,
    /// The kernel, and Burn's operations.
    ways: [Work; 2],
}

/// Starts the operation and gives what reads its result back.
type Work = Box<dyn Fn() -> Box<dyn FnOnce() -> Vec<f32>>>;

/// How far results may lie apart, of the largest value.
const TOLERANCE: f32 = 1e-3;

/// Resampling, size of the kernel, channels in and out, rows and columns of the input.
const CONVOLUTIONS: [(Resample, usize, [usize; 2], usize); 11] = [
    (Resample::Same, 3, [512, 512], 8),
    (Resample::Same, 3, [512, 512], 16),
    (Resample::Same, 3, [256, 256], 32),
    (Resample::Same, 3, [256, 256], 64),
    (Resample::Same, 3, [128, 128], 64),
    (Resample::Same, 3, [128, 128], 128),
    (Resample::Up, 3, [128, 128], 64),
    (Resample::Same, 3, [128, 3], 128),
    (Resample::Same, 3, [3, 128], 128),
    (Resample::Down, 3, [128, 128], 128),
    (Resample::Same, 1, [512, 512], 8),
];

/// Channels, rows and columns.
const GROUP_NORMS: [(usize, usize); 3] = [(512, 8), (256, 64), (128, 128)];

fn convolution(resample: Resample, k: usize, [from, to]: [usize; 2], side: usize, device: &Device) -> Case {
    let x = noise([1, from, side, side], device);
    let (weight, bias) = (noise([to, from, k, k], device), noise([to], device));
    let out = resample.size(side);
    let ways = [conv2d::conv2d, conv2d::composed].map(|way| {
        let (x, weight, bias) = (x.clone(), weight.clone(), bias.clone());
        work(move || way(x.clone(), &weight, &bias, resample))
    });
    let shape = format!("{resample:?} {k}x{k} {from}->{to} at {side}x{side}");
    Case { kernel: "conv2d", shape, operations: 2.0 * (from * to * k * k * out * out) as f64, ways }
}

fn normalization(channels: usize, side: usize, device: &Device) -> Case {
    let x = noise([1, channels, side, side], device);
    let (gamma, beta) = (noise([channels], device), noise([channels], device));
    let ways = [group_norm::group_norm, group_norm::composed].map(|way| {
        let (x, gamma, beta) = (x.clone(), gamma.clone(), beta.clone());
        work(move || way(x.clone(), &gamma, &beta, 32, 1e-6, true))
    });
    // Mean 1, variance 3, normalization 4, SiLU 4.
    let operations = 12.0 * (channels * side * side) as f64;
    Case { kernel: "group_norm_silu", shape: format!("{channels} at {side}x{side}"), operations, ways }
}

fn work<const D: usize>(operation: impl Fn() -> Tensor<D> + 'static) -> Work {
    Box::new(move || {
        let result = operation();
        Box::new(|| values(result))
    })
}

/// Uniform in [-1, 1).
fn noise<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    let count = dims.iter().product::<usize>() as u32;
    let values: Vec<f32> =
        (0..count).map(|i| crate::random::uniform([super::SEED, i, 1, 0]) * 2.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// All cases, each to be made when it is its turn.
fn cases(device: &Device) -> Vec<Box<dyn Fn() -> Case + '_>> {
    let mut cases: Vec<Box<dyn Fn() -> Case + '_>> = Vec::new();
    for (resample, k, channels, side) in CONVOLUTIONS {
        cases.push(Box::new(move || convolution(resample, k, channels, side, device)));
    }
    for (channels, side) in GROUP_NORMS {
        cases.push(Box::new(move || normalization(channels, side, device)));
    }
    cases
}

/// Measures every kernel at every shape, `runs` times after one that is not timed.
///
/// # Errors
/// A kernel's result is not that of Burn's operations: a shader that a device refuses is not always reported otherwise.
pub fn kernels(runs: usize, device: &Device, task: &mut Task) -> Result<Vec<Kernel>> {
    let cases = cases(device);
    let mut measured = Vec::with_capacity(cases.len());
    for case in &cases {
        measured.push(measure(&case(), runs, device, task)?);
        task.report(measured.len(), cases.len());
    }
    Ok(measured)
}

fn measure(case: &Case, runs: usize, device: &Device, task: &Task) -> Result<Kernel> {
    check(case)?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        task.check()?;
        for (way, times) in case.ways.iter().zip(&mut times) {
            times.push(milliseconds(timed(device, way)?.1));
        }
    }
    let [ms, burn_ms] = times.map(median);
    Ok(Kernel {
        kernel: case.kernel,
        shape: case.shape.clone(),
        ms,
        burn_ms,
        ratio: burn_ms / ms,
        gflops: case.operations / ms / 1e6,
    })
}

/// Does both once and compares them.
fn check(case: &Case) -> Result<()> {
    let [found, expected] = [0, 1].map(|way| case.ways[way]()());
    let largest = expected.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let equal = |a: &f32, b: &f32| (a - b).abs() <= TOLERANCE * largest;
    if found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| equal(a, b)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} {}: expected the result of Burn's operations, found another; use --device cpu",
        case.kernel, case.shape
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(found: f32) -> Case {
        let ways = [found, 2.0].map(|value| -> Work { Box::new(move || Box::new(move || vec![1.0, value])) });
        Case { kernel: "double", shape: "2".into(), operations: 4e6, ways }
    }

    #[test]
    fn a_kernel_that_differs_is_not_timed() {
        let device = crate::device::cpu();
        let measured = measure(&case(2.0001), 3, &device, &Task::unwatched()).unwrap();
        assert!(measured.ms > 0.0 && measured.burn_ms > 0.0);
        for wrong in [2.1, f32::NAN] {
            let error = measure(&case(wrong), 3, &device, &Task::unwatched()).unwrap_err().to_string();
            assert!(error.contains("double 2: expected"), "{error}");
        }
    }
}
