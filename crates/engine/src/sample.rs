//! Samples new pictures in batches, with progress; a stop keeps those that are finished. Every interface's settings become
//! a request here.

use std::collections::VecDeque;

use burn::tensor::{Device, Int, Tensor};
use web_time::{Duration, Instant};

use residua_core::codes::CodeStack;
use residua_core::config::RqTransformerConfig;
use residua_core::error::{Error, Result};
use residua_core::sampling::{Filter, Schedule};
use residua_core::task::Task;
use residua_core::text::counted;
use residua_kernels::device::Fence;
use residua_model::RqTransformer;
use residua_model::generate::{DraftAndRevise, Guidance, Request, Session, Steps};
use residua_protocol::SamplePlan;

/// Rows sampled together. More are no faster on a CPU and need memory for their caches.
const ROWS: u32 = 8;

/// How much work to queue on a GPU before waiting for it: enough that it never idles, little enough that it
/// stops promptly.
const AHEAD: Duration = Duration::from_millis(200);

/// What [`sample`] passes to its callback.
pub enum Sampled {
    /// The current batch, of which some cells are known.
    Partly {
        /// The codes `[B, h, w, D]`, on the device.
        codes: Box<Tensor<4, Int>>,
        /// Which cells are known, image by image.
        known: Vec<bool>,
    },
    /// Finished stacks.
    Whole(Vec<CodeStack>),
}

/// The request that `plan` describes, for the model of `config`, if `kept` of its pictures are to be kept.
///
/// # Errors
/// The condition, a filter or the given codes do not fit the model; too many pictures are to be kept, or none; or a
/// picture's number does not fit in 32 bits.
pub fn request(plan: &SamplePlan, kept: u32, config: &RqTransformerConfig) -> Result<Request> {
    let most = SamplePlan::MOST_PICTURES;
    if !(1..=most).contains(&kept) {
        return Err(Error::usage(format!("expected 1 to {most} pictures, found {kept}")));
    }
    let SamplePlan { condition, seed, first, count, filters, forced, .. } = plan;
    let end = first.checked_add(*count).ok_or_else(|| {
        Error::usage(format!(
            "expected picture numbers of a seed to fit in 32 bits, found {} from number {first}",
            counted(*count as usize, "picture")
        ))
    })?;
    let request = Request {
        condition: condition.tokens(config)?,
        filters: filters.clone(),
        seed: *seed,
        images: (*first..end).into(),
        forced: forced.clone(),
    };
    request.check(config)?;
    Ok(request)
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
    let rows = phases.iter().map(|filters| Guidance::of(filters, is_null).rows_per_image());
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
    let mut before = 0;
    for images in request.images.batches(at_a_time) {
        let batch = images.len();
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
        before += batch;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::config::StateKind;
    use residua_core::sampling::{Forced, Images};
    use residua_model::Checkpoint;
    use residua_protocol::Condition;

    #[test]
    fn a_plan_that_does_not_fit_the_model_is_refused() {
        let of_classes = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqt-class");
        let checkpoint = Checkpoint::open(of_classes, None, StateKind::Auto).unwrap();
        let config = checkpoint.rqtransformer().unwrap();
        let plan = SamplePlan {
            condition: Condition::Class("0".into()),
            seed: 1,
            first: 5,
            count: 2,
            filters: vec![Filter::NONE; config.depth()],
            revise: None,
            forced: None,
            preview: false,
        };
        assert_eq!(request(&plan, 2, config).unwrap().images, Images::from(5..7));
        let small = CodeStack::new(1, 1, 4, vec![0; 4]).unwrap();
        let cold = Filter { temperature: -1.0, ..Filter::NONE };
        for (plan, expected) in [
            (SamplePlan { count: 0, ..plan.clone() }, "expected 1 to 10000 pictures, found 0"),
            (SamplePlan { count: 10_001, ..plan.clone() }, "expected 1 to 10000 pictures, found 10001"),
            (SamplePlan { first: u32::MAX, ..plan.clone() }, "fit in 32 bits, found 2 pictures from number"),
            (
                SamplePlan { condition: Condition::Class("99".into()), ..plan.clone() },
                "class 99 does not exist",
            ),
            (
                SamplePlan { filters: vec![Filter::NONE], ..plan.clone() },
                "expected 4 filters, one for each depth, found 1",
            ),
            (SamplePlan { filters: vec![cold; 4], ..plan.clone() }, "temperature: expected 0"),
            (
                SamplePlan { forced: Some(Forced { stack: small, keep: vec![true; 4] }), ..plan },
                "code stacks are",
            ),
        ] {
            let error = request(&plan, plan.count, config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_batch_has_fewer_images_if_a_phase_is_guided() {
        let filters = |guidance| [Filter { guidance, ..Filter::NONE }; 2];
        assert_eq!(at_a_time(&[&filters(1.0)], false), ROWS);
        assert_eq!(at_a_time(&[&filters(0.0), &filters(1.0)], false), ROWS);
        assert_eq!(at_a_time(&[&filters(1.0), &filters(3.0)], false), ROWS / 2);
        assert_eq!(at_a_time(&[&filters(1.0), &filters(3.0)], true), ROWS);
    }
}
