//! The hand-written kernels compared with Burn's own operations, at shapes of the published models: one file
//! per stage, and the common measurement.

mod stage1;
mod stage2;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use super::median;
use super::stages::{milliseconds, timed};
use residua_core::error::{Error, Result};
use residua_core::task::Task;

/// A kernel at one shape: medians of alternating runs.
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// The operation.
    pub kernel: &'static str,
    /// Its sizes.
    pub shape: String,
    /// How often a pass of the FFHQ decoder does it; 0 if never.
    pub count: usize,
    /// Milliseconds of the kernel.
    pub ms: f64,
    /// Milliseconds of Burn's operations, with our matrix product unless that is what is measured.
    pub burn_ms: f64,
    /// How many times faster the kernel is.
    pub ratio: f64,
    /// The kernel's rate in `unit`, from the number of operations or bytes in its definition.
    pub rate: f64,
    /// `GFLOPS`, or `GB/s` for a kernel that waits for memory.
    pub unit: &'static str,
}

/// An operation to measure, done in two ways.
struct Case {
    kernel: &'static str,
    shape: String,
    count: usize,
    /// Operations or bytes; `unit` is a billion of them per second.
    amount: f64,
    unit: &'static str,
    /// The kernel, and Burn's operations.
    ways: [Work; 2],
}

/// Starts the operation and returns a function that reads its result back.
type Work = Box<dyn Fn() -> Box<dyn FnOnce() -> Vec<f32>>>;

/// Creates a case when its turn comes.
type Make<'a> = Box<dyn Fn() -> Case + 'a>;

/// How far results may differ, relative to the largest value.
const TOLERANCE: f32 = 1e-3;

impl Case {
    /// A case bound by its number of `operations`.
    fn computing(kernel: &'static str, shape: String, operations: usize, ways: [Work; 2]) -> Self {
        Self { kernel, shape, count: 0, amount: operations as f64, unit: "GFLOPS", ways }
    }

    /// A case bound by the `bytes` that it has to read and write.
    fn reading(kernel: &'static str, shape: String, bytes: usize, ways: [Work; 2]) -> Self {
        Self { kernel, shape, count: 0, amount: bytes as f64, unit: "GB/s", ways }
    }
}

fn work<const D: usize>(operation: impl Fn() -> Tensor<D> + 'static) -> Work {
    Box::new(move || {
        let result = operation();
        Box::new(|| reading(result.into_data()))
    })
}

fn reading(data: TensorData) -> Vec<f32> {
    data.convert::<f32>().try_to_vec().expect("converted to f32 just above")
}

/// Measures every kernel that has `name` in its name, at every shape, `runs` times after one warm-up run;
/// also sums up the FFHQ decoder's convolutions.
///
/// # Errors
/// No kernel has such a name, or a kernel's result differs from that of Burn's operations: the error of a
/// shader that a device rejects is not always reported in another way.
pub fn kernels(name: &str, runs: usize, device: &Device, task: &mut Task) -> Result<Vec<Kernel>> {
    let mut cases = stage1::cases(device)?;
    cases.extend(stage2::cases(device));
    let mut measured = Vec::with_capacity(cases.len() + 1);
    for (done, case) in cases.iter().enumerate() {
        let case = case();
        if case.kernel.contains(name) {
            measured.push(measure(&case, runs, device, task)?);
        }
        task.report(done + 1, cases.len());
    }
    if measured.is_empty() {
        return Err(Error::usage(format!("no kernel has {name} in its name; leave it out to see all")));
    }
    if measured.iter().any(|kernel| kernel.count > 0) {
        measured.push(decoder(&measured));
    }
    Ok(measured)
}

/// The sum over all convolutions of a decoder pass, each weighted by its count.
fn decoder(measured: &[Kernel]) -> Kernel {
    let sum =
        |each: fn(&Kernel) -> f64| measured.iter().map(|kernel| kernel.count as f64 * each(kernel)).sum();
    let (ms, burn_ms, work): (f64, f64, f64) =
        (sum(|kernel| kernel.ms), sum(|kernel| kernel.burn_ms), sum(|kernel| kernel.rate * kernel.ms));
    Kernel {
        kernel: "conv2d",
        shape: "FFHQ decoder's convolutions, summed".into(),
        count: 1,
        ms,
        burn_ms,
        ratio: burn_ms / ms,
        rate: work / ms,
        unit: "GFLOPS",
    }
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
        count: case.count,
        ms,
        burn_ms,
        ratio: burn_ms / ms,
        rate: case.amount / ms / 1e6,
        unit: case.unit,
    })
}

/// Does the operation both ways once and compares the results.
fn check(case: &Case) -> Result<()> {
    let [found, expected] = [0, 1].map(|way| case.ways[way]()());
    let largest = expected.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let equal = |a: &f32, b: &f32| (a - b).abs() <= TOLERANCE * largest;
    if found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| equal(a, b)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} {}: expected the result of Burn's operations, found another; use the CPU",
        case.kernel, case.shape
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(found: f32) -> Case {
        let ways = [found, 2.0].map(|value| -> Work { Box::new(move || Box::new(move || vec![1.0, value])) });
        Case::computing("double", "2".into(), 4_000_000, ways)
    }

    #[test]
    fn a_kernel_that_differs_is_not_timed() {
        let device = residua_kernels::device::cpu();
        let measured = measure(&case(2.0001), 3, &device, &Task::unwatched()).unwrap();
        assert!(measured.ms > 0.0 && measured.burn_ms > 0.0);
        for wrong in [2.1, f32::NAN] {
            let error = measure(&case(wrong), 3, &device, &Task::unwatched()).unwrap_err().to_string();
            assert!(error.contains("double 2: expected"), "{error}");
        }
    }

    #[test]
    fn the_decoder_is_summed_by_counts() {
        let kernel = |count, ms, burn_ms| {
            let ratio = f64::NAN;
            Kernel {
                kernel: "conv2d",
                shape: String::new(),
                count,
                ms,
                burn_ms,
                ratio,
                rate: 3.0,
                unit: "GFLOPS",
            }
        };
        let sum = decoder(&[kernel(2, 1.0, 3.0), kernel(0, 100.0, 1.0), kernel(1, 2.0, 10.0)]);
        assert_eq!((sum.ms, sum.burn_ms, sum.ratio, sum.rate), (4.0, 16.0, 4.0, 3.0));
    }
}
