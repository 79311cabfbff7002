//! Fetches a model's files before it is opened. On disk nothing needs to be done; in a browser, a URL is
//! downloaded or found in the browser's storage.

use residua_core::config::RqTransformerConfig;
use residua_core::error::Result;
#[cfg(target_family = "wasm")]
use residua_core::files::{self, Content};
use residua_core::task::Task;
use residua_protocol::condition::tokenizer_kind;

/// Fetches nothing, as files on disk need no fetching.
///
/// # Errors
/// None.
#[cfg(not(target_family = "wasm"))]
pub async fn fetch(_: &str, _: &mut Task<'_>) -> Result<()> {
    Ok(())
}

/// Fetches the model at `place`; `task` counts bytes.
///
/// # Errors
/// The download failed; [`Error::Cancelled`](residua_core::error::Error::Cancelled) if it was stopped.
#[cfg(target_family = "wasm")]
pub async fn fetch(place: &str, task: &mut Task<'_>) -> Result<()> {
    let fetched = residua_core::host::fetch(place, |done, total| {
        task.report(done as usize, total as usize);
        !task.is_stopped()
    });
    let fetched = fetched.await;
    task.check()?;
    fetched?.into_iter().for_each(|(path, blob)| files::put(&path, Content::Blob(blob)));
    Ok(())
}

/// Fetches the vocabulary of a model's captions, if it takes any.
///
/// # Errors
/// The download failed, or the tokenizer is unknown.
pub async fn fetch_tokenizer(config: &RqTransformerConfig, task: &mut Task<'_>) -> Result<()> {
    for file in tokenizer_kind(config)?.map_or(&[][..], |kind| kind.files()) {
        fetch(&format!("assets/{}", file.path), task).await?;
    }
    Ok(())
}
