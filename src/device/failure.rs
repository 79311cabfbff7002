//! Errors that a graphics device reports on its own, outside any call: above all, that memory has run out. The work in
//! progress then has no result, although each of its calls returned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wgpu::Error as Reported;

use crate::error::{Error, Result};

/// The first report that no job has picked up yet.
static REPORT: Mutex<Option<Reported>> = Mutex::new(None);

/// Whether there was one since [`forget`].
static FAILED: AtomicBool = AtomicBool::new(false);

/// Part of the error when a surface is configured while models compute; the next frame tries again.
const RETRIED: &str = "before reconfiguring the Surface";

/// Records what `device` reports from now on. By default wgpu panics, which goes unnoticed on CubeCL's thread.
pub(super) fn watch(device: &wgpu::Device) {
    device.on_uncaptured_error(Arc::new(|report| {
        let text = report.to_string();
        if text.contains(RETRIED) {
            return tracing::debug!("{text}");
        }
        tracing::debug!("the graphics device reports: {text}");
        FAILED.store(true, Ordering::Relaxed);
        REPORT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
    }));
}

/// Forgets all reports, and says whether there were some.
pub(super) fn forget() -> bool {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner).take();
    FAILED.swap(false, Ordering::Relaxed)
}

/// Whether the work that just ended has a result.
///
/// # Errors
/// [`Error::OutOfMemory`], or another failure reported since the last check.
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
