//! What a graphics device reports by itself, with nobody waiting for it: that memory has run out, above all. The work that
//! was under way then has no result, though every call of it has returned.

use std::sync::{Arc, Mutex, PoisonError};

use wgpu::Error as Reported;

use crate::error::{Error, Result};

/// The first report that no work has answered for yet.
static REPORT: Mutex<Option<Reported>> = Mutex::new(None);

/// A window that changes its size while models compute; it is tried again with the next frame.
const RETRIED: &str = "before reconfiguring the Surface";

/// Keeps what `device` reports from now on. wgpu would panic, and in CubeCL's thread nobody would notice.
pub(super) fn watch(device: &wgpu::Device) {
    device.on_uncaptured_error(Arc::new(|report| {
        let text = report.to_string();
        if text.contains(RETRIED) {
            return tracing::debug!("{text}");
        }
        tracing::debug!("the graphics device reports: {text}");
        REPORT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
    }));
}

/// Whether the work that has just ended has a result.
///
/// # Errors
/// [`Error::OutOfMemory`], or another failure that the device has reported meanwhile.
pub fn check() -> Result<()> {
    match REPORT.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(Reported::OutOfMemory { .. }) => Err(Error::OutOfMemory),
        Some(report) => {
            let text = report.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            Err(Error::invalid(format!("the graphics device failed: {}; try --device cpu", lines.join(": "))))
        }
    }
}
