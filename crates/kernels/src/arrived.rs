//! Results read back from a device, which count only if the work behind them succeeded.

use std::fmt::Display;

use burn::tensor::{Device, TensorData};

#[cfg(target_family = "wasm")]
use super::verdicts;
use crate::device::failure;
use residua_core::error::{Error, Result};

/// `data` from `device`, once all work that produced it is known to be right.
///
/// # Errors
/// The device failed.
pub async fn arrived<E: Display>(
    device: &Device,
    data: impl Future<Output = Result<TensorData, E>>,
) -> Result<TensorData> {
    let data = data.await;
    let worked = failure::check(device);
    // Without memory every kernel is wrong, which says nothing about the kernels.
    #[cfg(target_family = "wasm")]
    if !matches!(worked, Err(Error::OutOfMemory)) {
        verdicts::confirm(device).await;
    }
    worked?;
    data.map_err(|error| Error::invalid(format!("the device failed: {error}; try the CPU")))
}
