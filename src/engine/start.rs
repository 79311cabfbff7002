//! Opens the device that models run on, and sees on a GPU whether the hand-written kernels are right there.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use crate::device::is_cpu;
#[cfg(not(target_family = "wasm"))]
use crate::device::{DeviceChoice, open};
#[cfg(not(target_family = "wasm"))]
use crate::error::Result;
use crate::kernels::GpuKernel;
use crate::kernels::check::{CHECKS, check};
pub use crate::trust::checked;
use crate::trust::keep;

/// What computes on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(not(target_family = "wasm"), derive(clap::ValueEnum))]
pub enum GpuKernels {
    /// The hand-written kernels, save those that are wrong on this GPU.
    #[default]
    On,
    /// Burn's own operations.
    Off,
}

#[cfg(not(target_family = "wasm"))]
/// The device that `choice` stands for, ready for work.
///
/// # Errors
/// Those of [`open`]. A kernel that is wrong is none: it is warned of and not used.
pub async fn start(choice: DeviceChoice, kernels: GpuKernels) -> Result<Device> {
    let device = open(choice)?;
    match kernels {
        GpuKernels::On => trust(&device).await,
        GpuKernels::Off if is_cpu(&device) => (),
        GpuKernels::Off => distrust(),
    }
    Ok(device)
}

/// Whether it was settled which kernels the GPU runs.
static SETTLED: AtomicBool = AtomicBool::new(false);

/// Leaves all work to Burn's own operations, whatever a check would say.
pub fn distrust() {
    SETTLED.store(true, Ordering::Relaxed);
    GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false));
}

/// Checks the kernels on `device`, which is about to be used; at the first call for a GPU, unless
/// [`distrust`] came before.
pub async fn trust(device: &Device) {
    if !is_cpu(device) && !SETTLED.swap(true, Ordering::Relaxed) {
        keep(check(CHECKS, device).await);
    }
}
