//! The studio's brush: the time from the request that it sends when it is released to the decoded picture.

use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

use super::stages::milliseconds;
use super::{SEED, median};
use crate::studio::start;
use residua_core::codes::CodeStack;
use residua_core::config::{Precision, RqTransformerConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::sampling::Forced;
use residua_core::task::Task;
use residua_io::assets::bundled::BUNDLED;
use residua_io::assets::{self, SAMPLE};
use residua_io::image_io::Picture;
use residua_io::image_io::framing::Framing;
use residua_protocol::condition::of_caption;
use residua_protocol::{Command, Engine, Event, Options, Output, SamplePlan};

/// Sides, in cells, of the square that is painted in the middle of the picture.
const SIDES: [usize; 4] = [1, 2, 4, 8];

/// The time for a region.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Brushed {
    /// Painted cells.
    pub cells: usize,
    /// Milliseconds from the request to the decoded picture, the median of the runs.
    pub ms: f64,
}

/// Measures how long the bundled contextual model takes to revise squares of different sizes in the bundled picture, with
/// previews, as the studio shows them.
///
/// # Errors
/// The task was stopped, or the device failed.
pub fn brush(runs: usize, device: &Device, task: &mut Task) -> Result<Vec<Brushed>> {
    let mut engine = start(device.clone(), || ());
    let (model, caption) = (BUNDLED[0].name, BUNDLED[0].caption);
    let options =
        Options { model: model.into(), rqvae: None, state: StateKind::Auto, precision: Precision::Stored };
    let loaded = first(&mut engine, Command::Load(options), |output| match output {
        Output::Loaded(loaded) => Some(loaded),
        _ => None,
    })?;
    let config =
        &loaded.stage2.as_ref().ok_or_else(|| Error::invalid("expected a transformer, found none"))?.config;
    let stack = opened(&mut engine)?;
    let mut measured = Vec::with_capacity(SIDES.len());
    for side in SIDES {
        let mut times = Vec::with_capacity(runs);
        for run in 0..=runs {
            task.check()?;
            let plan = plan(config, caption, &stack, side, run);
            let begun = Instant::now();
            first(&mut engine, Command::Sample(plan), |output| match output {
                Output::Sampled(made) => Some(made),
                _ => None,
            })?;
            if run > 0 {
                times.push(milliseconds(begun.elapsed()));
            }
        }
        let cells = side.min(stack.h()) * side.min(stack.w());
        measured.push(Brushed { cells, ms: median(times) });
        task.report(measured.len(), SIDES.len());
    }
    Ok(measured)
}

/// The codes of the bundled picture.
fn opened(engine: &mut Engine) -> Result<CodeStack> {
    let bytes = assets::open(SAMPLE)?;
    let picture = Picture::from_bytes(&bytes.read_at(0, bytes.len())?)?;
    let encode = Command::Encode(picture.into(), Framing::Middle);
    let encoded = first(engine, encode, |output| match output {
        Output::Encoded(encoded) => Some(encoded),
        _ => None,
    })?;
    Ok((*encoded.stack).clone())
}

/// What the studio asks for when a square of so many cells was painted.
fn plan(
    config: &RqTransformerConfig,
    caption: &str,
    stack: &CodeStack,
    side: usize,
    run: usize,
) -> SamplePlan {
    let (h, w, depth) = (stack.h(), stack.w(), stack.depth());
    let is_within = |place: usize, size: usize| {
        let painted = side.min(size);
        let start = (size - painted) / 2;
        (start..start + painted).contains(&place)
    };
    let is_painted = |cell: usize| is_within(cell / w, h) && is_within(cell % w, w);
    let keep = (0..h * w * depth).map(|code| !is_painted(code / depth)).collect();
    SamplePlan {
        condition: of_caption(caption, config),
        seed: u64::from(SEED) + run as u64,
        first: 0,
        count: 1,
        filters: config.sampling.filters.clone(),
        forced: Some(Forced { stack: stack.clone(), keep }),
        preview: true,
        revise: None,
    }
}

/// Sends `command`, and waits for its first output that `wanted` takes.
fn first<T>(engine: &mut Engine, command: Command, wanted: impl Fn(Output) -> Option<T>) -> Result<T> {
    let job = engine.send(command);
    while let Some(message) = engine.wait() {
        if message.job != job {
            continue;
        }
        match message.event {
            Event::Output(output) => {
                if let Some(found) = wanted(output) {
                    return Ok(found);
                }
            }
            Event::Failed(reason) => return Err(Error::invalid(reason)),
            Event::Cancelled => return Err(Error::Cancelled),
            Event::Begun | Event::Progress(..) => (),
            Event::Done(_) => break,
        }
    }
    Err(Error::invalid("the models ended without a result"))
}
