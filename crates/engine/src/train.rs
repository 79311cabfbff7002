//! A training run, from a configuration and a folder of pictures to checkpoints.

mod document;
mod held;
mod notes;
mod options;
mod plan;
mod ranks;
mod stage;

use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use document::Places;
use held::{Held, Settled, check_config, check_data, check_lpips, check_stage1};
use notes::notes;
pub use options::TrainOptions;
use plan::{check_steps, length, plan};
use ranks::{check_alike, check_source};
use residua_core::config::{Config, ModelConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::ranks::{World, alone};
use residua_core::task::Task;
use residua_core::text::some_of;
use residua_model::Checkpoint;
use residua_train::config::TrainConfig;
use residua_train::data::{
    Augmentation, Batches, DataSet, Loaded, Split, Unreadable, Wish, fingerprint, in_order,
};
use residua_train::rank_share::RankShare;
use residua_train::run::RunFolder;
pub use residua_train::trainee::Told;
use residua_train::trainee::{Name, Run, Trainee};
pub use residua_train::validation::{HELD_OUT, HELD_OUT_LOSS};
use stage::Stage;

/// Size limit of a configuration, in bytes.
const LONGEST: u64 = 1 << 20;

/// The path of a configuration that is read from standard input.
const STDIN: &str = "-";

/// Prefix of the discriminator's tensor names.
const DISCRIMINATOR: &str = "discriminator";

/// Pictures per sheet.
const SHEET: usize = 8;

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
    let goes_on = options.resume.then(|| Held::open(&options.out, world.leads())).transpose()?;
    let folder = goes_on.as_ref().map(|held| &held.folder);
    let (kept, path) = match folder {
        Some(folder) => (folder.record()?, folder.config()),
        None => (RunFolder::check_free(&options.out).map(|()| None)?, options.config.clone()),
    };
    if options.resume && kept.is_none() {
        tracing::warn!(
            "{} was started by a version that stored neither seed nor options: using the command line's",
            options.out.display()
        );
    }
    let settled = Settled::of(options, kept.as_ref())?;
    let config = read(&path)?;
    let train = TrainConfig::of(&named(&path), &config)?;
    if options.resume {
        check_config(options, &config.document)?;
    }
    if let Some(kept) = &kept {
        check_stage1(options, kept)?;
    }
    check_folders(options)?;
    let stage = Stage::of(options, &config, folder, device)?;
    let data = DataSet::open(&options.data, &classes(&config))?;
    stage.check(options, &data, settled)?;
    let lpips = lpips_files(options, &train)?;
    let record = stage.record(settled, kept.as_ref(), &data, fingerprint(&options.data, &data), &lpips)?;
    if let Some(kept) = &kept {
        check_data(options, kept, record.pictures, &record.data)?;
        check_lpips(options, kept, &record)?;
    }
    let wish = Wish {
        items: data.of(if settled.all { Split::All } else { Split::Train }),
        resolution: stage.resolution(),
        size: train.experiment.batch_size,
        augmentation: Augmentation::named(config.transforms.0.as_deref())?,
        variations: settled.variations,
        seed: settled.seed,
        device: device.clone(),
        unreadable: Unreadable::default(),
    };
    if wish.items.is_empty() {
        return Err(Error::usage(format!(
            "{}: expected pictures to train on, found all of its {} held out: train on all pictures (all) to include them",
            options.data.display(),
            record.pictures
        )));
    }
    let length = length(settled, &train, wish.items.len());
    check_steps(options, folder, length)?;
    let experiment = &train.experiment;
    let share =
        RankShare::new(world.clone(), experiment.parts(), experiment.batch_size, stage.moves_with_parts())?;
    let plan = plan(options, &train, length);
    let taken = folder.map_or(Ok(0), RunFolder::taken)?;
    let settings = format!("{settled:?} {plan:?} {taken} {:?} {:?}", options.from, options.anew);
    check_alike(world, &config, &record, settings, device)?;

    let held = match goes_on {
        Some(held) => held,
        None if world.leads() => Held::create(&options.out, &record)?,
        None => Held::of_another(&options.out),
    };
    let places = Places { stage1: stage.keep(&held.folder)?, lpips, classes: data.classes.clone() };
    let kind = stage.kind();
    // Rank 0 makes what the others then read.
    if !world.leads() {
        world.wait();
    }
    let latents = stage.latents(options, &places, &record.data, &wish, task)?;
    if world.leads() {
        world.wait();
    }
    let mut trainee = stage.begin(options, &train, &wish, &places, latents, length)?;
    trainee.learn_only(share.clone());
    let from = options.from.as_ref().filter(|_| !options.resume);
    if let Some(from) = from {
        take(trainee.as_mut(), from, &options.anew, kind)?;
    }
    let mut notes = notes(&config, &train, wish.augmentation);
    notes.extend(share.described(plan.parts));
    let [document, carried] = places.described(&config.document, &options.out);
    let held_out = data.of(Split::HeldOut);
    // Pictures that the model was trained on do not measure generalization.
    let measured = if settled.all { Vec::new() } else { held_out.clone() };
    let measured = Wish { items: measured, ..wish.clone() };
    let mut run = Run {
        trainee: trainee.as_mut(),
        folder: &held.folder,
        document: &carried,
        plan,
        held_out: measured,
        share: share.clone(),
    };
    if from.is_some() {
        // The run must not depend on the other model, which may be gone when it resumes.
        run.save(0)?;
    }
    if options.resume {
        held.folder.keep(&record)?;
    }
    // A resumed run's LPIPS weights may have moved.
    if !options.resume || !options.lpips.is_empty() {
        held.folder.begin(&document)?;
    }
    // In a new run, other ranks already have what rank 0 has just written.
    let begun = if options.resume || world.leads() { run.resume()? } else { 0 };
    begin(&Begun { pictures: wish.items.len(), held_out: held_out.len(), begun, steps: plan.steps, notes });
    let shown = world.leads().then(|| shown(&wish, held_out)).flatten();
    let batches = Batches::shared(wish, begun * plan.parts as u64, &share);
    run.train(begun, batches, shown.as_ref(), task, tell)?;
    if !world.leads() {
        return Ok(options.out.clone());
    }
    held.folder.latest()?.ok_or_else(|| Error::usage("the run has no steps left: ask for more steps"))
}

/// Refuses to write a run among its pictures, as its sheets would be among them when it resumes.
fn check_folders(options: &TrainOptions) -> Result<()> {
    match [&options.out, &options.data].map(|path| files::real(path)) {
        [Ok(out), Ok(data)] if out == data => Err(Error::usage(format!(
            "out: expected a folder other than that of the pictures, found {}: choose another one",
            options.out.display()
        ))),
        _ => Ok(()),
    }
}

/// Gives `trainee` the weights of the model `from`, except those whose names start with one of `anew`.
fn take(trainee: &mut dyn Trainee, from: &str, anew: &[String], kind: residua_model::Stage) -> Result<()> {
    let checkpoint = Checkpoint::open(from, Some(kind), StateKind::Auto)?;
    let (judges_anew, anew): (Vec<String>, Vec<String>) =
        anew.iter().cloned().partition(|name| name.starts_with(DISCRIMINATOR));
    let judges = checkpoint.discriminator()?.filter(|_| judges_anew.is_empty());
    let mut others = trainee.take(&checkpoint.weights.without(&anew)?)?;
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

/// The LPIPS files that are given, else those in the configuration; a resumed run names them relative to its
/// folder.
///
/// # Errors
/// A file in the configuration is missing.
fn lpips_files(options: &TrainOptions, train: &TrainConfig) -> Result<Vec<PathBuf>> {
    if !options.lpips.is_empty() {
        return Ok(options.lpips.clone());
    }
    let seen_from = if options.resume { options.out.as_path() } else { Path::new("") };
    let known = train.gan.iter().flat_map(|gan| &gan.loss.lpips);
    let known: Vec<PathBuf> = known.map(|path| seen_from.join(path)).collect();
    match known.iter().find(|path| !files::is_file(path)) {
        None => Ok(known),
        Some(missing) => Err(Error::usage(format!(
            "{}: expected LPIPS weights, which the configuration names, found no file: give them (lpips)",
            missing.display()
        ))),
    }
}

/// The pictures on a run's sheets: some readable held-out ones, spread over all.
fn shown(wish: &Wish, held_out: Vec<residua_train::data::Item>) -> Option<Loaded> {
    let every = held_out.len().div_ceil(SHEET).max(1);
    let items: Vec<_> = held_out.into_iter().step_by(every).collect();
    in_order(&Wish { items, size: SHEET, ..wish.clone() }).next()
}

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

fn classes(config: &Config) -> Vec<String> {
    match &config.model {
        ModelConfig::RqTransformer(config) => config.class_folders().to_vec(),
        ModelConfig::RqVae(_) => Vec::new(),
    }
}
