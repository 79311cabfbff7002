//! Opens the device that models run on. The hand-written kernels are checked on a GPU: natively each variant
//! at its first use ([`residua_kernels::verdicts`]), in a browser all of them at the first visit.

use burn::tensor::Device;
#[cfg(not(target_family = "wasm"))]
use burn::tensor::Tensor;

#[cfg(target_family = "wasm")]
use residua_core::error::Error;
use residua_core::error::Result;
pub use residua_core::trust::checked;
use residua_kernels::GpuKernel;
use residua_kernels::conv2d::conv2d;
#[cfg(not(target_family = "wasm"))]
use residua_kernels::device::{DeviceChoice, cpu, is_cpu, open};
#[cfg(not(target_family = "wasm"))]
use residua_kernels::{Resample, noise, values, verdicts};

/// Whether to use the hand-written kernels on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum GpuKernels {
    /// The hand-written kernels, except those that are wrong on this GPU.
    #[default]
    On,
    /// Only Burn's own operations.
    Off,
}

/// Opens the device that `choice` names.
///
/// # Errors
/// Those of [`open`].
#[cfg(not(target_family = "wasm"))]
pub fn start(choice: DeviceChoice, kernels: GpuKernels) -> Result<Device> {
    if kernels == GpuKernels::Off {
        distrust();
    }
    let device = open(choice)?;
    Ok(if choice == DeviceChoice::Auto { faster(device).0 } else { device })
}

/// `device`, or the CPU if that is faster, as it can be with an integrated GPU; and the seconds that a trial
/// took on each, if there was one.
#[cfg(not(target_family = "wasm"))]
pub fn faster(device: Device) -> (Device, Option<[f64; 2]>) {
    if is_cpu(&device) {
        return (device, None);
    }
    let seconds = verdicts::seconds(|| [trial(&device), trial(&cpu())]);
    let [on_gpu, on_cpu] = seconds;
    (if on_gpu <= on_cpu { device } else { cpu() }, Some(seconds))
}

/// The best time in seconds of a few decoder convolutions on `device`.
#[cfg(not(target_family = "wasm"))]
fn trial(device: &Device) -> f64 {
    let (x, bias) = (noise([1, 64, 64, 64], 1, device), noise([64], 3, device));
    let weight: Tensor<4> = noise([64, 64, 3, 3], 2, device) / 24.0;
    let run = || {
        let begun = std::time::Instant::now();
        let once = |x, _| conv2d(x, &weight, &bias, Resample::Same);
        values((0..4).fold(x.clone(), once).sum());
        begun.elapsed().as_secs_f64()
    };
    // The first run compiles shaders.
    run();
    (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// Uses Burn's own operations instead of all hand-written kernels, whatever a check would find.
pub fn distrust() {
    GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false));
}

/// Checks the kernels on `device` before it is used, at the first call for a GPU. Results of an earlier visit count.
///
/// # Errors
/// A kernel is wrong. Nothing can replace it here, so use the CPU.
#[cfg(target_family = "wasm")]
pub async fn trust(device: &Device) -> Result<()> {
    if residua_kernels::device::is_cpu(device) {
        return Ok(());
    }
    if checked().is_empty() {
        residua_core::trust::keep(&verdicts(device).await);
    }
    match checked().into_iter().find(|checked| !checked.ok) {
        Some(residua_core::trust::Checked { kernel, shape, .. }) => Err(Error::invalid(format!(
            "this GPU computes a wrong result ({kernel:?}, {shape}) and nothing else can do that work: update its driver, \
             or use the CPU"
        ))),
        None => Ok(()),
    }
}

/// The results of all checks: from an earlier visit where they were good, else made now.
#[cfg(target_family = "wasm")]
async fn verdicts(device: &Device) -> Vec<residua_core::trust::Checked> {
    use residua_core::host::{recall, remember};
    use residua_kernels::check::{check, checks};
    use residua_kernels::device::adapter;

    let earlier = recall(adapter()).await.and_then(|text| serde_json::from_str(&text).ok());
    if let Some(earlier) = earlier {
        return earlier;
    }
    let found = check(&checks(), device).await;
    if found.iter().all(|checked| checked.ok)
        && let Ok(text) = serde_json::to_string(&found)
    {
        remember(adapter(), &text).await;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_gpu_is_not_picked() {
        let gpu = open(DeviceChoice::Gpu).unwrap();
        let (taken, seconds) = faster(gpu);
        let [on_gpu, on_cpu] = seconds.expect("a trial ran");
        assert!(on_gpu > 0.0 && on_cpu > 0.0);
        assert_eq!(is_cpu(&taken), on_cpu < on_gpu);
        assert_eq!(faster(cpu()), (cpu(), None));
    }
}
