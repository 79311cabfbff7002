//! New pictures: sampling in batches, with progress, and what is whole kept when it is stopped.

use super::task::Task;
use crate::codes::CodeStack;
use crate::error::{Error, Result};
use crate::generate::{Request, Session};
use crate::model::RqTransformer;

/// Images that are sampled together. More give no speed on a CPU and cost memory for their caches.
const BATCH: u32 = 8;

/// The stacks of `request`, batch after batch. `task` counts codes' cells over all images.
///
/// # Errors
/// [`Error::Cancelled`] comes only where not one batch was whole: else the whole ones are returned.
pub async fn sample(model: &RqTransformer, request: &Request, task: &mut Task<'_>) -> Result<Vec<CodeStack>> {
    let cells = model.config.cells();
    let total = cells * request.images.len();
    let mut stacks: Vec<CodeStack> = Vec::new();
    let mut first = request.images.start;
    while first < request.images.end {
        let images = first..request.images.end.min(first.saturating_add(BATCH));
        first = images.end;
        let batch = images.len();
        let mut session = Session::new(model, Request { images, ..request.clone() })?;
        while session.done() < cells {
            if task.is_stopped() {
                return if stacks.is_empty() { Err(Error::Cancelled) } else { Ok(stacks) };
            }
            session.step();
            // On a GPU, work is only queued: without waiting, neither progress nor a stop would be true.
            super::models::wait(model.device())?;
            task.report(cells * stacks.len() + session.done() * batch, total);
        }
        stacks.extend(session.stacks().await?);
    }
    Ok(stacks)
}
