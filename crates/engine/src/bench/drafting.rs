//! Draft-and-revise compared with sampling cell by cell, by transformers of one shape (Draft-and-Revise,
//! arXiv 2206.04452, table 4).

use burn::tensor::Device;
use serde::Serialize;

use super::stages::{FILTER, timed};
use super::{SEED, Settings, median};
use residua_core::config::Precision;
use residua_core::config::preset::Preset;
use residua_core::config::{Architecture, RqTransformerConfig};
use residua_core::error::Result;
use residua_core::sampling::{Rounds, Schedule};
use residua_core::task::Task;
use residua_model::Loader;
use residua_model::generate::{DraftAndRevise, Request, Session, Steps};
use residua_model::{RqTransformer, RqVae};

/// Parts of the draft in the paper's table 4.
const DRAFTS: [u32; 3] = [8, 32, 64];

/// The revisions after each draft.
const REVISE: Rounds = Rounds { rounds: 2, parts: 2 };

/// The time per picture.
#[derive(Clone, Debug, Serialize)]
pub struct Drafted {
    /// Parts of the draft; `None` if cells are sampled one by one.
    pub draft: Option<u32>,
    /// The revisions after it, such as 2x4.
    pub revise: Option<String>,
    /// Batch size in images.
    pub batch: usize,
    /// Passes through the body per batch.
    pub passes: usize,
    /// Seconds per picture, the median of the runs.
    pub seconds: f64,
}

/// Measures both kinds of transformer of `preset` in turn, at each of the `batches`.
///
/// # Errors
/// The task was stopped, or the device failed.
pub fn drafting(
    preset: &Preset,
    batches: &[usize],
    settings: Settings,
    device: &Device,
    task: &mut Task,
) -> Result<Vec<Drafted>> {
    let ways = std::iter::once(None).chain(DRAFTS.map(Some));
    let autoregressive = preset.rqtransformer()?;
    let mut contextual = autoregressive.clone();
    contextual.kind = Architecture::Contextual;
    let mut measured = Vec::new();
    let total = batches.len() * (1 + DRAFTS.len());
    let mut loaded: Option<RqTransformer> = None;
    for draft in ways {
        let config = if draft.is_some() { &contextual } else { &autoregressive };
        // One model at a time: both may not fit.
        let model = match loaded.take().filter(|model| model.config.kind == config.kind) {
            Some(model) => model,
            None => transformer(preset, config, settings.precision, device)?,
        };
        for &batch in batches {
            measured.push(measure(&model, draft, batch, settings.runs, device, task)?);
            task.report(measured.len(), total);
        }
        loaded = Some(model);
    }
    Ok(measured)
}

fn transformer(
    preset: &Preset,
    config: &RqTransformerConfig,
    precision: Precision,
    device: &Device,
) -> Result<RqTransformer> {
    let rqvae = RqVae::load(&mut Loader::random(SEED, device, Precision::Stored), &preset.rqvae()?)?;
    let mut loader = Loader::random(SEED, device, precision);
    RqTransformer::load(&mut loader, config, Some(&rqvae.quantizer.codebooks))
}

fn measure(
    model: &RqTransformer,
    draft: Option<u32>,
    batch: usize,
    runs: usize,
    device: &Device,
    task: &Task,
) -> Result<Drafted> {
    let filters = vec![FILTER; model.config.depth()];
    let request = Request {
        condition: vec![0; model.config.block_size_cond],
        filters: filters.clone(),
        seed: u64::from(SEED),
        images: (0..batch as u32).into(),
        forced: None,
    };
    let schedule = draft.map(|draft| Schedule { draft, revise: REVISE, filters });
    let (mut times, mut passes) = (Vec::with_capacity(runs), 0);
    for run in 0..=runs {
        task.check()?;
        let (steps, time) = timed(device, || sampled(model, request.clone(), schedule.clone()))?;
        passes = steps?;
        if run > 0 {
            times.push(time.as_secs_f64() / batch as f64);
        }
    }
    let revise = draft.map(|_| REVISE.to_string());
    Ok(Drafted { draft, revise, batch, passes, seconds: median(times) })
}

/// Samples a batch and returns the number of passes through the body.
fn sampled(model: &RqTransformer, request: Request, schedule: Option<Schedule>) -> Result<usize> {
    match schedule {
        None => Ok(finished(Session::new(model, request)?)),
        Some(schedule) => Ok(finished(DraftAndRevise::new(model, request, schedule)?)),
    }
}

fn finished(mut session: impl Steps) -> usize {
    session.finish();
    session.total()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiny_preset_is_drafted_and_sampled() {
        let settings = Settings { batch: 1, runs: 1, precision: Precision::Stored };
        let preset = Preset::find("tiny").unwrap();
        let device = residua_kernels::device::cpu();
        let measured = drafting(preset, &[1, 2], settings, &device, &mut Task::unwatched()).unwrap();
        let passes: Vec<usize> = measured.iter().map(|measured| measured.passes).collect();
        assert_eq!(passes, [64, 64, 12, 12, 36, 36, 68, 68]);
        assert!(measured.iter().all(|measured| measured.seconds > 0.0));
    }
}
