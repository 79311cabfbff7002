//! Opens the device that models run on, and sees on a GPU whether the hand-written kernels are right there.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use crate::device::{DeviceChoice, is_cpu, open};
use crate::error::Result;
use crate::kernels::GpuKernel;
use crate::kernels::check::{CHECKS, check};

/// What computes on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
pub enum GpuKernels {
    /// The hand-written kernels, save those that are wrong on this GPU.
    #[default]
    On,
    /// Burn's own operations.
    Off,
}

/// The device that `choice` stands for, ready for work.
///
/// # Errors
/// Those of [`open`]. A kernel that is wrong is none: it is warned of and not used.
pub async fn start(choice: DeviceChoice, kernels: GpuKernels) -> Result<Device> {
    let device = open(choice)?;
    if !is_cpu(&device) {
        match kernels {
            GpuKernels::On => trust(&device).await,
            GpuKernels::Off => GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false)),
        }
    }
    Ok(device)
}

/// Checks the kernels on `device`, a GPU that is about to be used; at the first call.
pub async fn trust(device: &Device) {
    static CHECKED: AtomicBool = AtomicBool::new(false);
    if !CHECKED.swap(true, Ordering::Relaxed) {
        check(CHECKS, device).await;
    }
}
