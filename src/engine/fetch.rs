//! Makes ready what a model's place names, before it is opened. On a disk all files are; in a browser an address is
//! downloaded, or found in the browser's storage.

use super::task::Task;
use crate::error::Result;
use crate::model::RqTransformerConfig;

/// Makes ready the model at `place`; `task` is told bytes.
///
/// # Errors
/// What the download failed with.
#[cfg(not(target_family = "wasm"))]
pub async fn fetch(_: &str, _: &mut Task<'_>) -> Result<()> {
    Ok(())
}

/// Makes ready the model at `place`; `task` is told bytes.
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

/// Makes ready the vocabulary of a model's captions, if it has any.
///
/// # Errors
/// What the download failed with; an unknown tokenizer.
pub async fn fetch_tokenizer(config: &RqTransformerConfig, task: &mut Task<'_>) -> Result<()> {
    for file in super::condition::tokenizer_kind(config)?.map_or(&[][..], |kind| kind.files()) {
        fetch(&format!("assets/{}", file.path), task).await?;
    }
    Ok(())
}
