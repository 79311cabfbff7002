//! Samples new pictures in batches, with progress; a stop keeps those that are finished.

use std::collections::VecDeque;

use burn::tensor::{Device, Int, Tensor};
use web_time::{Duration, Instant};

use residua_core::codes::CodeStack;
use residua_core::error::Result;
use residua_core::sampling::{Filter, Schedule};
use residua_core::task::Task;
use residua_kernels::device::Fence;
use residua_model::RqTransformer;
use residua_model::generate::{DraftAndRevise, Guidance, Request, Session, Steps};

/// Rows sampled together. More are no faster on a CPU and need memory for their caches.
const ROWS: u32 = 8;

/// How much work to queue on a GPU before waiting for it: enough that it never idles, little enough that it
/// stops promptly.
const AHEAD: Duration = Duration::from_millis(200);

/// What [`sample`] passes to its callback.
pub enum Sampled {
    /// The current batch, with some cells known and the others filled with code 0.
    Partly {
        /// The codes `[B, h, w, D]`, on the device.
        codes: Box<Tensor<4, Int>>,
        /// Which cells are known, image by image.
        known: Vec<bool>,
    },
    /// Finished stacks.
    Whole(Vec<CodeStack>),
}

/// Samples `request` batch by batch, and hands each to `keep` as soon as it is complete, so that neither a stop nor a failure
/// loses finished images. An autoregressive model samples cell by cell, a contextual one in the parts of `schedule`. With
/// `preview`, unfinished batches are handed over too, after each row of cells or each part. `task` counts steps over all images.
///
/// # Errors
/// [`residua_core::Error::Cancelled`] if the task was stopped; what `keep` fails with; a contextual model without a schedule, or an
/// autoregressive one with one.
pub async fn sample(
    model: &RqTransformer,
    request: &Request,
    schedule: Option<&Schedule>,
    preview: bool,
    task: &mut Task<'_>,
    keep: impl AsyncFnMut(Sampled) -> Result<()>,
) -> Result<()> {
    let (device, is_null) = (model.device(), request.is_null(&model.config));
    match schedule {
        None => {
            let begin = |request| Session::new(model, request);
            batches(begin, at_a_time(&[&request.filters], is_null), device, request, preview, task, keep)
                .await
        }
        Some(schedule) => {
            let begin = |request| DraftAndRevise::new(model, request, schedule.clone());
            let at_a_time = at_a_time(&[&request.filters, &schedule.filters], is_null);
            batches(begin, at_a_time, device, request, preview, task, keep).await
        }
    }
}

/// Images per batch, for phases with these filters, and a condition that may be the null condition.
fn at_a_time(phases: &[&[Filter]], is_null: bool) -> u32 {
    let rows = phases.iter().map(|filters| Guidance::of(filters, is_null).rows_an_image());
    ROWS / rows.max().unwrap_or(1)
}

async fn batches<S: Steps>(
    begin: impl Fn(Request) -> Result<S>,
    at_a_time: u32,
    device: &Device,
    request: &Request,
    preview: bool,
    task: &mut Task<'_>,
    mut keep: impl AsyncFnMut(Sampled) -> Result<()>,
) -> Result<()> {
    let mut first = request.images.start;
    while first < request.images.end {
        let images = first..request.images.end.min(first.saturating_add(at_a_time));
        let (batch, before) = (images.len(), (first - request.images.start) as usize);
        first = images.end;
        let mut session = begin(Request { images, ..request.clone() })?;
        let (steps, shown_every) = (session.total(), session.shown_every());
        let (start, mut queued) = (Instant::now(), VecDeque::new());
        while session.done() < steps {
            task.pause().await?;
            session.step();
            let done = session.done();
            // A GPU only queues work. Waiting for the newest step would leave it idle, and some browsers poll
            // only every 100 ms, so up to a row of cells is queued ahead.
            queued.push_back(Fence::new(device).await);
            let a_step = start.elapsed() / done as u32;
            let ahead = AHEAD.div_duration_f32(a_step.max(Duration::from_millis(1))) as usize;
            while queued.len() > ahead.min(shown_every) {
                queued.pop_front().expect("it is not empty").wait().await?;
            }
            task.report(before * steps + (done - queued.len()) * batch, request.images.len() * steps);
            if preview && done < steps && done.is_multiple_of(shown_every) {
                let codes = Box::new(session.codes());
                keep(Sampled::Partly { codes, known: session.known() }).await?;
            }
        }
        keep(Sampled::Whole(session.stacks().await?)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_fewer_images_if_a_phase_is_guided() {
        let filters = |guidance| [Filter { guidance, ..Filter::NONE }; 2];
        assert_eq!(at_a_time(&[&filters(1.0)], false), ROWS);
        assert_eq!(at_a_time(&[&filters(0.0), &filters(1.0)], false), ROWS);
        assert_eq!(at_a_time(&[&filters(1.0), &filters(3.0)], false), ROWS / 2);
        assert_eq!(at_a_time(&[&filters(1.0), &filters(3.0)], true), ROWS);
    }
}
