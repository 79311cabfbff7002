//! Opens the device that models run on. On a GPU the hand-written kernels are checked: natively each at its first use
//! ([`crate::kernels::verdicts`]), in a browser all before anything else.

use burn::tensor::Device;

#[cfg(not(target_family = "wasm"))]
use crate::device::{DeviceChoice, open};
#[cfg(target_family = "wasm")]
use crate::error::Error;
use crate::error::Result;
use crate::kernels::GpuKernel;
pub use crate::trust::checked;

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

/// The device that `choice` stands for, ready for work.
///
/// # Errors
/// Those of [`open`].
#[cfg(not(target_family = "wasm"))]
pub fn start(choice: DeviceChoice, kernels: GpuKernels) -> Result<Device> {
    if kernels == GpuKernels::Off {
        distrust();
    }
    open(choice)
}

/// Leaves all work that they can do to Burn's own operations, whatever a check would say.
pub fn distrust() {
    GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false));
}

/// Checks the kernels on `device`, which is about to be used; at the first call for a GPU.
///
/// # Errors
/// A kernel is wrong, which nothing can replace here: the CPU is to be used.
#[cfg(target_family = "wasm")]
pub async fn trust(device: &Device) -> Result<()> {
    use crate::kernels::check::{CHECKS, check};

    if crate::device::is_cpu(device) {
        return Ok(());
    }
    if checked().is_empty() {
        crate::trust::keep(&check(&CHECKS.iter().collect::<Vec<_>>(), device).await);
    }
    match checked().into_iter().find(|checked| !checked.ok) {
        Some(crate::trust::Checked { kernel, shape, .. }) => Err(Error::invalid(format!(
            "this GPU computes a wrong result ({kernel:?}, {shape}) and nothing else can do that work: update its driver, \
             or use the CPU"
        ))),
        None => Ok(()),
    }
}
