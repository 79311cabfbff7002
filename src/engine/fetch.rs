//! Makes ready what a model's place names, before it is opened.

use super::task::Task;
use crate::error::Result;

/// On a disk all files are ready.
///
/// # Errors
/// None.
#[cfg(not(target_family = "wasm"))]
pub async fn fetch(_: &str, _: &mut Task<'_>) -> Result<()> {
    Ok(())
}

/// In a browser, an address is downloaded or found in the browser's storage; `task` is told bytes.
///
/// # Errors
/// What the download failed with; [`Error::Cancelled`](crate::error::Error::Cancelled) if it was stopped.
#[cfg(target_family = "wasm")]
pub async fn fetch(place: &str, task: &mut Task<'_>) -> Result<()> {
    let fetched = crate::host::fetch(place, |done, total| {
        task.report(done as usize, total as usize);
        !task.is_stopped()
    });
    let fetched = fetched.await;
    task.check()?;
    fetched
}
