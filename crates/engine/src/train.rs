//! A training run, from a configuration and a folder of pictures to checkpoints.

mod course;
mod document;
mod goal;
mod held;
mod notes;
mod options;
mod plan;
mod ranks;

use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use course::{Course, settle};
use document::Places;
use goal::Goal;
use held::Held;
pub use options::TrainOptions;
use ranks::check_source;
use residua_core::config::{Config, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::ranks::{World, alone};
use residua_core::task::Task;
use residua_core::text::some_of;
use residua_model::{Checkpoint, Stage};
use residua_train::data::Batches;
use residua_train::record::Record;
pub use residua_train::trainee::Told;
use residua_train::trainee::{Name, Run, Trainee};
pub use residua_train::validation::{HELD_OUT, HELD_OUT_LOSS};

/// Size limit of a configuration, in bytes.
const LONGEST: u64 = 1 << 20;

/// The path of a configuration that is read from standard input.
const STDIN: &str = "-";

/// Prefix of the discriminator's tensor names.
const DISCRIMINATOR: &str = "discriminator";

/// Measurements by name.
pub type Measures = Vec<(Name, f64)>;

/// A run, before its first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// Number of training pictures.
    pub pictures: usize,
    /// Number of held-out pictures.
    pub held_out: usize,
    /// Steps already done.
    pub begun: u64,
    /// Total number of steps.
    pub steps: u64,
    /// Augmentation, dropout, the parts of a step, and differences from what the published trainer does with
    /// the configuration.
    pub notes: Vec<String>,
}

/// Trains until all steps are done and returns the last checkpoint. If `task` stops the run, it writes one
/// first.
///
/// # Errors
/// The configuration, data or folder is invalid, or differs from the resumed run's; another process
/// trains it; the loss became NaN or infinite; [`Error::Cancelled`]. A new run that has done no step leaves
/// nothing behind.
pub fn train(
    options: &TrainOptions,
    device: &Device,
    task: &mut Task<'_>,
    begin: impl FnOnce(&Begun),
    tell: impl FnMut(&Told),
) -> Result<PathBuf> {
    train_shared(options, device, &alone(), task, begin, tell)
}

/// The same on all ranks of `world` together: each does a share of every step, and rank 0 writes the run. The steps are
/// those of one process, up to rounding, so a run may be resumed by any number of ranks.
///
/// # Errors
/// Those of [`train`]; the ranks have different configurations, data or devices.
pub fn train_shared(
    options: &TrainOptions,
    device: &Device,
    world: &World,
    task: &mut Task<'_>,
    begin: impl FnOnce(&Begun),
    tell: impl FnMut(&Told),
) -> Result<PathBuf> {
    check_source(options, world)?;
    let resumed = options.resume.then(|| Held::open(&options.out, world.leads())).transpose()?;
    let (goal, course) = settle(options, resumed.as_ref().map(|held| &held.folder), world, device)?;
    let held = match resumed {
        Some(held) => held,
        None if world.leads() => Held::create(&options.out, &course.record)?,
        None => Held::of_another(&options.out),
    };
    let (lpips, classes) = (course.lpips.clone(), course.classes.clone());
    let places = Places { stage1: goal.keep(&held.folder)?, lpips, classes };
    let mut trainee = trainee(options, goal, &course, &places, task)?;
    let [document, carried] = places.described(&course.config.document, &options.out);
    let mut run = Run {
        trainee: trainee.as_mut(),
        device,
        folder: &held.folder,
        document: &carried,
        plan: course.plan,
        held_out: course.measured(),
        share: course.share.clone(),
    };
    let begun = start(options, &mut run, &document, &course.record)?;
    begin(&course.begun(begun));
    let shown = world.leads().then(|| course.shown()).flatten();
    let batches = Batches::shared(course.wish, begun * course.plan.parts as u64, &course.share);
    run.train(begun, batches, shown.as_ref(), task, tell)?;
    if !world.leads() {
        return Ok(options.out.clone());
    }
    held.folder.latest()?.ok_or_else(|| Error::usage("the run has no steps left: ask for more steps"))
}

/// The model to train, with its initial weights.
fn trainee(
    options: &TrainOptions,
    goal: Goal,
    course: &Course,
    places: &Places,
    task: &mut Task<'_>,
) -> Result<Box<dyn Trainee>> {
    let Course { train, record, wish, length, share, .. } = course;
    let (stage, world) = (goal.stage(), share.world());
    // Rank 0 makes what the others then read.
    if !world.leads() {
        world.wait();
    }
    let latents = goal.latents(options, places, &record.data, wish, task)?;
    if world.leads() {
        world.wait();
    }
    let mut trainee = goal.begin(options, train, wish, places, latents, *length)?;
    trainee.learn_only(share.clone());
    if let Some(from) = options.from.as_ref().filter(|_| !options.resume) {
        take(trainee.as_mut(), from, &options.reinitialize, stage)?;
    }
    Ok(trainee)
}

/// Writes the files of the run's folder that are still to be written, takes the last checkpoint's weights if there is
/// one, and returns the number of steps done.
fn start(options: &TrainOptions, run: &mut Run<'_>, document: &Value, record: &Record) -> Result<u64> {
    if options.from.is_some() && !options.resume {
        // The run must not depend on the other model, which may be gone when it resumes.
        run.save(0)?;
    }
    if options.resume {
        run.folder.keep(record)?;
    }
    // A resumed run's LPIPS weights may have moved.
    if !options.resume || !options.lpips.is_empty() {
        run.folder.begin(document)?;
    }
    // In a new run, other ranks already have what rank 0 has just written.
    if options.resume || run.share.world().leads() { run.resume() } else { Ok(0) }
}

/// Gives `trainee` the weights of the model `from`, except those whose names start with one of `reinitialize`.
fn take(trainee: &mut dyn Trainee, from: &str, reinitialize: &[String], stage: Stage) -> Result<()> {
    let checkpoint = Checkpoint::open(from, Some(stage), StateKind::Auto)?;
    let (of_judges, of_model): (Vec<String>, Vec<String>) =
        reinitialize.iter().cloned().partition(|name| name.starts_with(DISCRIMINATOR));
    let judges = checkpoint.discriminator()?.filter(|_| of_judges.is_empty());
    let mut others = trainee.take(&checkpoint.weights.without(&of_model)?)?;
    if let Some((judges, prefix)) = judges {
        others.extend(trainee.take_judges(&judges, prefix)?);
    }
    if !others.is_empty() {
        tracing::warn!(
            "{from}: missing or of another shape, so initialized from scratch: {}",
            some_of(&others)
        );
    }
    Ok(())
}

/// The configuration at `path`.
fn read(path: &Path) -> Result<Config> {
    let name = named(path);
    let text = if path == Path::new(STDIN) {
        let mut text = String::new();
        // One byte more than allowed is refused as too long.
        let read = std::io::stdin().take(LONGEST + 1).read_to_string(&mut text);
        read.map_err(Error::io("read", Path::new(&name)))?;
        text
    } else {
        files::read_text(path, LONGEST)?
    };
    Config::parse(&name, &text)
}

/// The name in messages of the configuration at `path`.
fn named(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".into() } else { path.display().to_string() }
}
