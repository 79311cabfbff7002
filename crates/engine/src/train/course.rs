//! All that a run will do, settled and checked before it writes anything.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::goal::Goal;
use super::held::{Settled, check_config, check_record, check_stage1};
use super::notes::notes;
use super::plan::{check_steps, length, plan};
use super::ranks::check_alike;
use super::{Begun, TrainOptions, named, read};
use residua_core::config::{Config, ModelConfig};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::ranks::World;
use residua_train::config::TrainConfig;
use residua_train::data::{
    Augmentation, DataSet, Item, Loaded, Split, Unreadable, Wish, fingerprint, in_order,
};
use residua_train::judges::Length;
use residua_train::rank_share::RankShare;
use residua_train::record::Record;
use residua_train::run::RunFolder;
use residua_train::trainee::Plan;

/// Pictures per sheet.
const SHEET: usize = 8;

/// What a run learns from, and for how long.
pub struct Course {
    /// The configuration.
    pub config: Config,
    /// What it says about training.
    pub train: TrainConfig,
    /// What determines the run.
    pub record: Record,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Weights of LPIPS.
    pub lpips: Vec<PathBuf>,
    /// The training pictures.
    pub wish: Wish,
    /// The held-out pictures.
    pub held_out: Vec<Item>,
    /// How long the run is.
    pub length: Length,
    /// What it does, and how often.
    pub plan: Plan,
    /// This rank's share of the steps.
    pub share: RankShare,
}

impl Course {
    /// What to measure on: pictures that the model was trained on do not measure generalization.
    pub fn measured(&self) -> Wish {
        let items = if self.record.all { Vec::new() } else { self.held_out.clone() };
        Wish { items, ..self.wish.clone() }
    }

    /// The pictures on the run's sheets: some readable held-out ones, spread over all.
    pub fn shown(&self) -> Option<Loaded> {
        let every = self.held_out.len().div_ceil(SHEET).max(1);
        let items = self.held_out.iter().step_by(every).cloned().collect();
        in_order(&Wish { items, size: SHEET, ..self.wish.clone() }).next()
    }

    /// The run, of which `begun` steps are done.
    pub fn begun(&self, begun: u64) -> Begun {
        let mut notes = notes(&self.config, &self.train, self.wish.augmentation);
        notes.extend(self.share.described(self.plan.parts));
        let (pictures, held_out) = (self.wish.items.len(), self.held_out.len());
        Begun { pictures, held_out, begun, steps: self.plan.steps, notes }
    }
}

/// What `options` ask for: what to train, and the course of the run. `folder` is that of a resumed run.
///
/// # Errors
/// The configuration, data or options are invalid, or differ from those of the resumed run or of other ranks.
pub fn settle(
    options: &TrainOptions,
    folder: Option<&RunFolder>,
    world: &World,
    device: &Device,
) -> Result<(Goal, Course)> {
    let (kept, path) = match folder {
        Some(folder) => (folder.record()?, folder.config()),
        None => (RunFolder::check_free(&options.out).map(|()| None)?, options.config.clone()),
    };
    let settled = Settled::of(options, kept.as_ref())?;
    let config = read(&path)?;
    let train = TrainConfig::of(&named(&path), &config)?;
    check(options, &config, kept.as_ref())?;

    let goal = Goal::of(options, &config, folder, device)?;
    let data = DataSet::open(&options.data, &classes(&config))?;
    goal.check(options, &data, settled)?;
    let lpips = lpips_files(options, &train)?;
    let record = goal.record(settled, kept.as_ref(), &data, fingerprint(&options.data, &data), &lpips)?;
    kept.map_or(Ok(()), |kept| check_record(options, &kept, &record))?;

    let wish = Wish {
        items: to_train_on(options, &data, settled.all)?,
        resolution: goal.resolution(),
        size: train.experiment.batch_size,
        augmentation: Augmentation::named(config.transforms.0.as_deref())?,
        variations: settled.variations,
        seed: settled.seed,
        device: device.clone(),
        unreadable: Unreadable::default(),
    };
    let length = length(settled, &train, wish.items.len());
    check_steps(options, folder, length)?;
    let (parts, size) = (train.experiment.parts(), train.experiment.batch_size);
    let share = RankShare::new(world.clone(), parts, size, goal.moves_with_parts())?;
    let plan = plan(options, &train, length);
    let taken = folder.map_or(Ok(0), RunFolder::taken)?;
    let settings = format!("{settled:?} {plan:?} {taken} {:?} {:?}", options.from, options.reinitialize);
    check_alike(world, &config, &record, settings, device)?;

    let held_out = data.of(Split::HeldOut);
    let classes = data.classes;
    Ok((goal, Course { config, train, record, classes, lpips, wish, held_out, length, plan, share }))
}

/// Refuses options that contradict each other, or the run to resume: its configuration and its record.
fn check(options: &TrainOptions, config: &Config, kept: Option<&Record>) -> Result<()> {
    if options.resume {
        check_config(options, &config.document)?;
    }
    kept.map_or(Ok(()), |kept| check_stage1(options, kept))?;
    check_folders(options)
}

/// Refuses to write a run among its pictures, as its sheets would be among them when it resumes.
fn check_folders(options: &TrainOptions) -> Result<()> {
    match [&options.out, &options.data].map(|path| files::real(path)) {
        [Ok(out), Ok(data)] if out == data => Err(Error::usage(format!(
            "{}: expected a folder other than that of the pictures, found the same: choose another one for the run",
            options.out.display()
        ))),
        _ => Ok(()),
    }
}

/// The classes that `config` lists, in their order.
fn classes(config: &Config) -> Vec<String> {
    match &config.model {
        ModelConfig::RqTransformer(config) => config.class_folders().to_vec(),
        ModelConfig::RqVae(_) => Vec::new(),
    }
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
            "{}: expected LPIPS weights, which the configuration names, found no file: name their file",
            missing.display()
        ))),
    }
}

/// The pictures of `data` to train on: all, or those that are not held out.
///
/// # Errors
/// There are none.
fn to_train_on(options: &TrainOptions, data: &DataSet, all: bool) -> Result<Vec<Item>> {
    let items = data.of(if all { Split::All } else { Split::Train });
    if items.is_empty() {
        return Err(Error::usage(format!(
            "{}: expected pictures to train on, found all of its {} held out: train on the held-out pictures, too",
            options.data.display(),
            data.items.len()
        )));
    }
    Ok(items)
}
