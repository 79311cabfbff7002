//! Errors that a graphics device reports asynchronously, mostly out of memory. Every call has returned by
//! then, but the work in progress has no valid result.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wgpu::Error as Reported;

use residua_core::error::{Error, Result};

/// The first error that no job has picked up yet.
static REPORT: Mutex<Option<Reported>> = Mutex::new(None);

/// Whether an error was reported since the last [`forget`].
static FAILED: AtomicBool = AtomicBool::new(false);

/// Part of the error raised when a surface is configured while models compute. The next frame retries.
const RETRIED: &str = "before reconfiguring the Surface";

/// Records the errors that `device` reports from now on. By default wgpu panics, and on CubeCL's thread
/// nobody notices.
pub(super) fn watch(device: &wgpu::Device) {
    device.on_uncaptured_error(Arc::new(|report| {
        let text = report.to_string();
        if text.contains(RETRIED) {
            return tracing::debug!("{text}");
        }
        tracing::debug!("error from the graphics device: {text}");
        FAILED.store(true, Ordering::Relaxed);
        REPORT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
    }));
}

/// Forgets all reported errors. Returns true if there were any.
pub(super) fn forget() -> bool {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner).take();
    FAILED.swap(false, Ordering::Relaxed)
}

/// Checks that the work that just ended has a valid result.
///
/// # Errors
/// [`Error::OutOfMemory`] or another failure reported since the last check.
pub fn check() -> Result<()> {
    match REPORT.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(Reported::OutOfMemory { .. }) => Err(Error::OutOfMemory),
        Some(report) => {
            let text = report.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            Err(Error::invalid(format!("the graphics device failed: {}; try the CPU", lines.join(": "))))
        }
    }
}
