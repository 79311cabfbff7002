//! Opens the device that models run on, and sees on a GPU whether the hand-written kernels are right there.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use crate::device::is_cpu;
#[cfg(not(target_family = "wasm"))]
use crate::device::{DeviceChoice, open};
use crate::error::{Error, Result};
use crate::kernels::GpuKernel;
use crate::kernels::check::{CHECKS, check};
pub use crate::trust::checked;
use crate::trust::{Checked, keep};

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
/// Those of [`open`] and [`trust`].
pub async fn start(choice: DeviceChoice, kernels: GpuKernels) -> Result<Device> {
    let device = open(choice)?;
    match kernels {
        GpuKernels::On => trust(&device).await?,
        GpuKernels::Off if is_cpu(&device) => (),
        GpuKernels::Off => distrust(),
    }
    Ok(device)
}

/// Whether it was settled which kernels the GPU runs.
static SETTLED: AtomicBool = AtomicBool::new(false);

/// Leaves all work that they can do to Burn's own operations, whatever a check would say.
pub fn distrust() {
    SETTLED.store(true, Ordering::Relaxed);
    GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false));
}

/// Checks the kernels on `device`, which is about to be used; at the first call for a GPU, unless
/// [`distrust`] came before.
///
/// # Errors
/// A kernel is wrong that nothing can replace here: the CPU is to be used. Others that are wrong are warned of and not
/// used.
pub async fn trust(device: &Device) -> Result<()> {
    if is_cpu(device) {
        return Ok(());
    }
    if !SETTLED.swap(true, Ordering::Relaxed) {
        keep(check(CHECKS, device).await);
    }
    usable(checked())
}

/// That nothing which is wrong in `table` is without a substitute.
fn usable(table: &[Checked]) -> Result<()> {
    match table.iter().find(|checked| !checked.ok && !GpuKernel::SUBSTITUTED) {
        Some(Checked { kernel, shape, .. }) => Err(Error::invalid(format!(
            "this GPU computes a wrong result ({kernel:?}, {shape}) and nothing else can do that work: update its driver, \
             or use the CPU"
        ))),
        None => Ok(()),
    }
}
