//! Opens the device that models run on. Each hand-written kernel is checked when a GPU first uses it: see
//! [`residua_kernels::verdicts`].

use std::fmt::{Display, Formatter};

use burn::tensor::{Device, Tensor};

use residua_core::error::Result;
pub use residua_core::trust::checked;
use residua_kernels::conv2d::conv2d;
use residua_kernels::device::{DeviceChoice, cpu, is_cpu, kind, open};
use residua_kernels::{GpuKernel, Resample, noise, values, verdicts};

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
pub fn start(choice: DeviceChoice, kernels: GpuKernels) -> Result<Device> {
    if kernels == GpuKernels::Off {
        distrust();
    }
    if choice != DeviceChoice::Auto {
        return open(choice);
    }
    let (device, why) = auto()?;
    tracing::info!("picked the {}: {why}", kind(&device));
    Ok(device)
}

/// The device that `auto` picks, and why.
///
/// # Errors
/// Those of [`open`].
pub fn auto() -> Result<(Device, String)> {
    let device = open(DeviceChoice::Auto)?;
    if is_cpu(&device) {
        return Ok((device, "no hardware GPU can run the models".into()));
    }
    let (device, trial) = faster(device);
    Ok((device, trial.to_string()))
}

/// How long the same work took on the GPU and on the CPU.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    seconds: [f64; 2],
}

impl Display for Trial {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let [gpu, cpu] = self.seconds.map(|seconds| seconds * 1e3);
        write!(f, "a trial took {gpu:.1} ms on the GPU, {cpu:.1} ms on the CPU")
    }
}

/// `gpu`, or the CPU if that is faster, as it can be with an integrated GPU. The first call for an adapter measures both.
pub fn faster(gpu: Device) -> (Device, Trial) {
    let seconds = verdicts::seconds(|| [time(&gpu), time(&cpu())]);
    let [on_gpu, on_cpu] = seconds;
    (if on_gpu <= on_cpu { gpu } else { cpu() }, Trial { seconds })
}

/// The best time in seconds of a few decoder convolutions on `device`.
fn time(device: &Device) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use residua_kernels::device::adapters;

    #[test]
    fn a_slower_gpu_is_not_picked() {
        let gpu = open(DeviceChoice::Gpu).unwrap();
        let (taken, Trial { seconds: [on_gpu, on_cpu] }) = faster(gpu);
        assert!(on_gpu > 0.0 && on_cpu > 0.0);
        assert_eq!(is_cpu(&taken), on_cpu < on_gpu);
    }

    #[test]
    fn the_choice_comes_with_a_reason() {
        let (device, why) = auto().unwrap();
        let trial = Trial { seconds: [0.0125, 0.002] }.to_string();
        assert_eq!(trial, "a trial took 12.5 ms on the GPU, 2.0 ms on the CPU");
        let measured = why.starts_with("a trial took ");
        let hardware = adapters().iter().any(|adapter| adapter.hardware);
        assert_eq!(measured, hardware, "{why}");
        assert!(measured || is_cpu(&device) && why == "no hardware GPU can run the models", "{why}");
    }
}
