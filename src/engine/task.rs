//! Long work, seen from outside: how far it is, and whether it should stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Told of progress, asked whether to go on. A front door makes one and hands it to the work.
pub struct Task<'a> {
    stop: Arc<AtomicBool>,
    report: Box<dyn FnMut(usize, usize) + 'a>,
}

impl<'a> Task<'a> {
    /// `report` is called with the units done and the units in all; `stop` ends the work at its next unit.
    pub fn new(stop: Arc<AtomicBool>, report: impl FnMut(usize, usize) + 'a) -> Self {
        Self { stop, report: Box::new(report) }
    }

    /// Nobody watches and nobody stops it.
    pub fn unwatched() -> Task<'static> {
        Task::new(Arc::default(), |_, _| ())
    }

    /// A part of the work that is counted in other units: it stops with the whole, and its progress is not told.
    pub fn silent(&self) -> Task<'static> {
        Task::new(self.stop.clone(), |_, _| ())
    }

    /// `done` of `total` units are done.
    pub fn report(&mut self, done: usize, total: usize) {
        (self.report)(done, total);
    }

    /// Whether the work should end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Between two steps of long work: in a browser, orders come in and pictures go out meanwhile.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the work should end.
    pub async fn pause(&self) -> Result<()> {
        #[cfg(target_family = "wasm")]
        crate::host::breathe().await;
        self.check()
    }

    /// [`Error::Cancelled`] if the work should end.
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
