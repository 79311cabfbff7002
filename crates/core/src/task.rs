//! Progress and cancellation of long work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use crate::error::{Error, Result};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether the process was interrupted. The command line sets it on Ctrl-C, for all its tasks; a studio does not, as
/// each of its jobs has a task of its own.
pub fn interrupted() -> Arc<AtomicBool> {
    INTERRUPTED.clone()
}

/// To be called between steps of long work that has no task, such as unpacking an archive.
///
/// # Errors
/// [`Error::Cancelled`] if the process was interrupted.
pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
}

/// Takes progress reports and tells the work when to stop. A user interface creates one and passes it to the
/// work.
pub struct Task<'a> {
    stop: Arc<AtomicBool>,
    report: Box<dyn FnMut(usize, usize) + 'a>,
}

impl<'a> Task<'a> {
    /// `report` is called with the units done and their total; `stop` ends the work at its next unit.
    pub fn new(stop: Arc<AtomicBool>, report: impl FnMut(usize, usize) + 'a) -> Self {
        Self { stop, report: Box::new(report) }
    }

    /// A task that nobody watches or stops.
    pub fn unwatched() -> Task<'static> {
        Task::new(Arc::default(), |_, _| ())
    }

    /// A task for a part of the work that is counted in other units: it stops with the whole and reports no
    /// progress.
    pub fn silent(&self) -> Task<'static> {
        Task::new(self.stop.clone(), |_, _| ())
    }

    /// Reports that `done` of `total` units are done.
    pub fn report(&mut self, done: usize, total: usize) {
        (self.report)(done, total);
    }

    /// True if the work should stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// To be called between steps of long work: in a browser, this lets commands in and pictures out.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the work should stop.
    pub async fn pause(&self) -> Result<()> {
        #[cfg(target_family = "wasm")]
        crate::host::breathe().await;
        self.check()
    }

    /// [`Error::Cancelled`] if the work should stop.
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
