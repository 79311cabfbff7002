//! Errors that a graphics device reports asynchronously, mostly out of memory. Every call has returned by
//! then, but the work in progress has no valid result.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use wgpu::Error as Reported;

use residua_core::error::{Error, Result};

/// What a device has reported.
#[derive(Default)]
struct Report {
    /// The first error that no job has picked up yet.
    first: Option<Reported>,
    /// Whether an error was reported since the last [`forget`].
    failed: bool,
}

/// A report that the device's handler of errors fills.
type Shared = Arc<Mutex<Report>>;

/// The report of each device. A process may have several devices, and one's failure says nothing about another's results.
static REPORTS: Mutex<Vec<(Device, Shared)>> = Mutex::new(Vec::new());

/// Part of the error raised when a surface is configured while models compute. The next frame retries.
const RETRIED: &str = "before reconfiguring the Surface";

/// Records the errors that `setup`, on which `device` runs, reports from now on. By default wgpu panics, and on CubeCL's
/// thread nobody notices.
pub(super) fn watch(device: &Device, setup: &wgpu::Device) {
    setup.on_uncaptured_error(Arc::new(recorder(device)));
}

/// Records the errors that it is given as reported by `device`.
fn recorder(device: &Device) -> impl Fn(Reported) + use<> {
    let report = Shared::default();
    locked(&REPORTS).push((device.clone(), report.clone()));
    move |error| {
        let text = error.to_string();
        if text.contains(RETRIED) {
            return tracing::debug!("{text}");
        }
        tracing::debug!("error from the graphics device: {text}");
        let mut report = locked(&report);
        report.failed = true;
        report.first.get_or_insert(error);
    }
}

/// The report of `device`, with or without gradients; `None` for the CPU, which reports nothing this way.
fn report_of(device: &Device) -> Option<Shared> {
    let reports = locked(&REPORTS);
    // This comparison ignores gradients.
    let of_device = reports.iter().find(|(other, _)| other == device);
    of_device.map(|(_, report)| report.clone())
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets all errors that `device` reported. Returns true if there were any.
pub(super) fn forget(device: &Device) -> bool {
    report_of(device).is_some_and(|report| std::mem::take(&mut *locked(&report)).failed)
}

/// Checks that the work on `device` that just ended has a valid result.
///
/// # Errors
/// [`Error::OutOfMemory`] or another failure that it reported since the last check.
pub fn check(device: &Device) -> Result<()> {
    match report_of(device).and_then(|report| locked(&report).first.take()) {
        None => Ok(()),
        Some(Reported::OutOfMemory { .. }) => Err(Error::OutOfMemory),
        Some(report) => {
            let text = report.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            Err(Error::invalid(format!("the graphics device failed: {}; try the CPU", lines.join(": "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DeviceKind;

    use super::*;
    use crate::device::cpu;

    /// A training run and the open models have a device each.
    #[test]
    fn a_failure_is_that_of_one_device() {
        // Nothing is computed, so they need not exist.
        let [one, other] = [7001, 7002].map(|id| Device::wgpu(DeviceKind::Existing(id)));
        let [report, _] = [&one, &other].map(recorder);
        report(Reported::OutOfMemory { source: "a test has none left".into() });
        for device in [&other, &cpu()] {
            assert!(check(device).is_ok() && !forget(device));
        }
        assert!(matches!(check(&one.clone().autodiff()), Err(Error::OutOfMemory)));
        assert!(check(&one).is_ok(), "it has been picked up");
        assert!(forget(&one) && !forget(&one));
    }
}
