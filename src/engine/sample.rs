//! New pictures: sampling in batches, with progress, and what is whole kept when it is stopped.

use std::collections::VecDeque;

use burn::tensor::{Int, Tensor};
use web_time::{Duration, Instant};

use super::task::Task;
use crate::codes::CodeStack;
use crate::device::Fence;
use crate::error::Result;
use crate::generate::{Guidance, Request, Session};
use crate::model::RqTransformer;

/// Rows that are sampled together. More give no speed on a CPU and cost memory for their caches.
const ROWS: u32 = 8;

/// How much work a GPU is given before it is waited for: enough that it never idles, little enough that a stop is prompt.
const AHEAD: Duration = Duration::from_millis(200);

/// What [`sample`] hands over.
pub enum Sampled {
    /// The batch under way, its cells before `cells` done, the others filled with code 0.
    Partly {
        /// The codes `[B, h, w, D]`, on the device.
        codes: Box<Tensor<4, Int>>,
        /// Cells done, in raster order.
        cells: usize,
    },
    /// Stacks that are done.
    Whole(Vec<CodeStack>),
}

/// Samples `request` batch after batch and hands each to `keep` as soon as it is whole, so that neither a stop nor a failure
/// loses what was done; with `preview`, also after each row of cells. `task` counts cells over all images.
///
/// # Errors
/// [`crate::Error::Cancelled`] if the task was stopped; what `keep` fails with.
pub async fn sample(
    model: &RqTransformer,
    request: &Request,
    preview: bool,
    task: &mut Task<'_>,
    mut keep: impl AsyncFnMut(Sampled) -> Result<()>,
) -> Result<()> {
    let cells = model.config.cells();
    let columns = model.config.block_size[1];
    let total = cells * request.images.len();
    let at_a_time = ROWS / Guidance::of(&request.filters).rows_an_image();
    let mut first = request.images.start;
    while first < request.images.end {
        let images = first..request.images.end.min(first.saturating_add(at_a_time));
        let (batch, before) = (images.len(), cells * (first - request.images.start) as usize);
        first = images.end;
        let mut session = Session::new(model, Request { images, ..request.clone() })?;
        let (start, mut queued) = (Instant::now(), VecDeque::new());
        while session.done() < cells {
            task.pause().await?;
            session.step();
            let done = session.done();
            // A GPU only queues work. Waiting for the newest cell would leave it idle, and some browsers poll only every
            // 100 ms, so up to a row is queued ahead.
            queued.push_back(Fence::new(model.device()).await);
            let a_cell = start.elapsed() / done as u32;
            let ahead = AHEAD.div_duration_f32(a_cell.max(Duration::from_millis(1))) as usize;
            while queued.len() > ahead.min(columns) {
                queued.pop_front().expect("it is not empty").wait().await?;
            }
            task.report(before + (done - queued.len()) * batch, total);
            if preview && done < cells && done.is_multiple_of(columns) {
                keep(Sampled::Partly { codes: Box::new(session.codes()), cells: done }).await?;
            }
        }
        keep(Sampled::Whole(session.stacks().await?)).await?;
    }
    Ok(())
}
