//! A faulty GPU kernel is detected and not used, and results are right without it. This is a separate process
//! because the kernel switches are global.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor};
use residua_core::config::Precision;
use residua_core::error::{Error, Result};
use residua_kernels::check::{Check, Checked, Reading, check, checks};
use residua_kernels::device::{DeviceChoice, cpu, is_cpu, open};
use residua_kernels::{GpuKernel, KvCache, Resample, Variant, attention, conv2d, layer_norm, noise, values};
use residua_model::Loader;

/// The result of a check: `on_gpu` on a GPU, [1, 2] on the CPU.
fn given(device: &Device, on_gpu: Result<Vec<f32>>) -> Reading {
    let values = if is_cpu(device) { Ok(vec![1.0, 2.0]) } else { on_gpu };
    Box::pin(async { values })
}

/// A check of the first variant of `kernel` that runs `work`.
fn of(kernel: GpuKernel, work: fn(&Device) -> Reading) -> Check {
    let variant =
        checks().iter().map(|check| check.variant).find(|variant| variant.kernel() == kernel).unwrap();
    Check { variant, shape: "two values".into(), tolerance: 1e-3, work: Box::new(work) }
}

fn checked(checks: &[Check], gpu: &Device) -> Vec<Checked> {
    pollster::block_on(check(checks, gpu))
}

/// The largest difference, relative to the largest expected magnitude.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    found.iter().zip(expected).fold(0.0, |most, (a, b)| most.max((a - b).abs() / largest))
}

/// Runs one test at a time, because the kernel switches are global.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_faulty_kernel_is_not_used_and_results_are_right_without_it() {
    let _alone = alone();
    let gpu = open(DeviceChoice::Gpu).unwrap();
    let broken = [
        of(GpuKernel::Conv2d, |device| given(device, Ok(vec![1.0, 2.1]))),
        of(GpuKernel::GroupNorm, |device| given(device, Ok(vec![1.0, f32::NAN]))),
        of(GpuKernel::LayerNorm, |device| given(device, Ok(vec![1.0]))),
        of(GpuKernel::DecodeLinear, |device| given(device, Ok(vec![f32::INFINITY, 2.0]))),
        of(GpuKernel::DecodeAttention, |device| given(device, Err(Error::invalid("no shader")))),
        of(GpuKernel::SampleToken, |device| {
            assert!(is_cpu(device), "a kernel may panic");
            given(device, Ok(vec![]))
        }),
        of(GpuKernel::Widen, |device| given(device, Ok(vec![1.0, 2.0001]))),
    ];
    let table = checked(&broken, &gpu);
    for (Check { variant, .. }, Checked { kernel, ok, .. }) in broken.iter().zip(&table) {
        assert_eq!(*ok, *kernel == GpuKernel::Widen, "{table:?}");
        assert_eq!(variant.is_on(), *ok, "{table:?}");
        let others = checks().into_iter().map(|check| check.variant).filter(|other| other != variant);
        let mut others = others.filter(|other| other.kernel() == *kernel);
        assert!(others.all(Variant::is_on), "{kernel:?} is right in other variants");
    }

    // The public functions now match Burn's operations bit for bit.
    let (x, weight, bias) =
        (noise([1, 5, 9, 11], 1, &gpu), noise([7, 5, 3, 3], 2, &gpu), noise([7], 3, &gpu));
    let found = conv2d::conv2d(x.clone(), &weight, &bias, Resample::Up);
    assert_eq!(values(found), values(conv2d::composed(x, &weight, &bias, Resample::Up)));
    let (x, gamma, beta) = (noise([3, 77], 1, &gpu), noise([77], 2, &gpu), noise([77], 3, &gpu));
    let found = layer_norm::layer_norm(x.clone(), &gamma, &beta, 1e-5);
    assert_eq!(values(found), values(layer_norm::composed(x, &gamma, &beta, 1e-5)));

    // Those results are also right: run the work of each check with the kernels switched off.
    GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false));
    for Check { variant, shape, tolerance, work } in checks() {
        let [found, expected] = [&gpu, &cpu()].map(|device| pollster::block_on(work(device)).unwrap());
        let apart = apart(&found, &expected);
        println!("{variant:?} {shape}: {apart:e}");
        assert!(apart <= tolerance, "{variant:?} {shape}: {apart}");
    }

    // The kernels themselves work here, so the checks switch them on again.
    let table = checked(&checks(), &gpu);
    assert!(table.iter().all(|checked| checked.ok), "{table:?}");
    assert!(checks().iter().all(|check| check.variant.is_on()));
    assert!(GpuKernel::ALL.iter().all(|kernel| table.iter().any(|checked| checked.kernel == *kernel)));
}

/// If a kernel is found faulty in the middle of an image, Burn's operations can use its cache, and vice
/// versa.
#[test]
fn the_kernel_and_burns_operations_share_a_cache() {
    let _alone = alone();
    let gpu = open(DeviceChoice::Gpu).unwrap();
    let qkv: Tensor<3> = noise([2, 6, 90], 1, &gpu);
    let mut cache = KvCache::new(2, 3, 6, 10, &gpu);
    let steps = (0..6).map(|i| {
        GpuKernel::DecodeAttention.switch(i % 2 == 0);
        attention::attend(qkv.clone().slice([0..2, i..i + 1, 0..90]), 3, Some(&mut cache))
    });
    let found = values(Tensor::cat(steps.collect(), 1));
    GpuKernel::DecodeAttention.switch(true);
    assert!(apart(&found, &values(attention::composed(qkv, 3, None))) < 1e-4);
}

/// Burn's own cast from f16 needs shader support for f16.
#[test]
fn without_the_widening_kernel_weights_stay_in_single_precision() {
    let _alone = alone();
    let gpu = open(DeviceChoice::Gpu).unwrap();
    let bytes = |precision, on: bool| {
        GpuKernel::Widen.switch(on);
        let bytes = Loader::random(1, &gpu, precision).linear_weights(&["weight".into()], [4, 64]).bytes();
        GpuKernel::Widen.switch(true);
        bytes
    };
    assert_eq!([false, true].map(|on| bytes(Precision::F16, on)), [1024, 512]);
    assert_eq!([false, true].map(|on| bytes(Precision::Q8, on)), [1024, 288]);
}
