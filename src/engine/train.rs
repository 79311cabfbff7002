//! A training run, from a configuration and a folder of pictures to checkpoints.

mod notes;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::condition::tokenizer_kind;
use super::models::{Options, Stage1};
use super::task::Task;
use crate::checkpoint::{self, Checkpoint, StateKind};
use crate::error::{Error, Result};
use crate::files;
use crate::metrics::Lpips;
use crate::model::{Config, ModelConfig, Precision, RqTransformerConfig, RqVaeConfig};
use crate::tokenizer::Tokenizer;
use crate::train::config::TrainConfig;
use crate::train::data::{Augmentation, Batches, DataSet, Loaded, Split, Wish, in_order};
use crate::train::judges::{Judges, Length};
use crate::train::latents::Latents;
use crate::train::run::RunFolder;
use crate::train::stage1::Stage1Training;
use crate::train::stage2::Stage2Training;
pub use crate::train::trainee::Told;
use crate::train::trainee::{Name, Plan, Run, Trainee};
pub use crate::train::validation::{HELD_OUT, HELD_OUT_LOSS};
use notes::notes;

/// The longest configuration that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Begins the names of what judges an RQ-VAE.
const DISCRIMINATOR: &str = "discriminator";

/// Pictures on a sheet.
const SHEET: usize = 8;

/// What is to be trained, on what, and for how long.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainOptions {
    /// The configuration, with the published keys; a run that goes on has its own.
    pub config: PathBuf,
    /// The folder of pictures.
    pub data: PathBuf,
    /// The folder of the run.
    pub out: PathBuf,
    /// The RQ-VAE whose codes a transformer learns.
    pub rqvae: Option<String>,
    /// Weights of LPIPS, for an RQ-VAE: see [`Lpips::load`]. None: where the configuration says that they are.
    pub lpips: Vec<PathBuf>,
    /// The file of latents that a transformer learns from, made where there is none; `None`: every step encodes its pictures.
    pub cache: Option<PathBuf>,
    /// Variations of each picture in that file.
    pub variations: u32,
    /// A model of the same kind, whose weights a new run begins with.
    pub from: Option<String>,
    /// What begins anew though that model has it: tensors of which the names start so.
    pub anew: Vec<String>,
    /// Whether the run in that folder goes on.
    pub resume: bool,
    /// Steps in all; `None`: the configuration's epochs.
    pub steps: Option<u64>,
    /// Steps from one checkpoint to the next; `None`: the configuration's.
    pub save_every: Option<u64>,
    /// Steps from one sheet to the next; `None`: an epoch.
    pub sheet_every: Option<u64>,
    /// Steps from one measurement on held-out pictures to the next; `None`: the configuration's.
    pub test_every: Option<u64>,
    /// Whether the pictures that are held out are learned from, too.
    pub all: bool,
    /// Determines first weights, order and variations.
    pub seed: u32,
}

/// What was measured, by name.
pub type Measures = Vec<(Name, f64)>;

/// What a run is, before its first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// Pictures that are learned from.
    pub pictures: usize,
    /// Pictures that are held out.
    pub held_out: usize,
    /// Steps taken before.
    pub begun: u64,
    /// Steps in all.
    pub steps: u64,
    /// What is done otherwise than the configuration asks of the published trainer, and in how many parts a step is taken.
    pub notes: Vec<String>,
}

/// Trains until the steps are taken: the last checkpoint. A run that `task` stops writes one first.
///
/// # Errors
/// Configuration, data or folder are not as they should be; the loss is no number any more; [`Error::Cancelled`].
pub fn train(
    options: &TrainOptions,
    device: &Device,
    task: &mut Task<'_>,
    begin: impl FnOnce(&Begun),
    tell: impl FnMut(&Told),
) -> Result<PathBuf> {
    let folder = if options.resume { Some(RunFolder::open(&options.out)?) } else { None };
    let path = folder.as_ref().map_or_else(|| options.config.clone(), RunFolder::config);
    let config = read(&path)?;
    let train = TrainConfig::of(&path.display().to_string(), &config)?;
    let data = DataSet::open(&options.data, &classes(&config))?;
    let stage = Stage::of(options, &config, device)?;
    let wish = Wish {
        items: data.of(if options.all { Split::All } else { Split::Train }),
        resolution: stage.resolution(),
        size: train.experiment.batch_size,
        augmentation: Augmentation::named(transforms(&config))?,
        variations: options.cache.as_ref().map(|_| options.variations),
        seed: options.seed,
        device: device.clone(),
    };
    let length = length(options, &train, wish.items.len());
    let kind = stage.kind();
    let mut trainee = stage.begin(options, &train, &wish, length, task)?;
    if let Some(from) = options.from.as_ref().filter(|_| folder.is_none()) {
        take(trainee.as_mut(), from, &options.anew, kind)?;
    }
    let (plan, notes) = (plan(options, &train, length), notes(&config, &train));
    let document = described(config.document, &data.classes, options);
    let folder = folder.map_or_else(|| RunFolder::create(&options.out, &document), Ok)?;
    let held_out = data.of(Split::HeldOut);
    // What is learned from says nothing of what is not.
    let measured = if options.all { Vec::new() } else { held_out.clone() };
    let measured = Wish { items: measured, ..wish.clone() };
    let mut run =
        Run { trainee: trainee.as_mut(), folder: &folder, document: &document, plan, held_out: measured };
    let begun = run.resume()?;
    begin(&Begun { pictures: wish.items.len(), held_out: held_out.len(), begun, steps: plan.steps, notes });
    let shown = shown(&wish, held_out)?;
    let batches = Batches::start(wish, begun * plan.parts as u64);
    run.train(begun, batches, shown.as_ref(), task, tell)?;
    folder.latest()?.ok_or_else(|| Error::usage("the run has no steps to take: ask for more by --steps"))
}

/// What is trained.
enum Stage<'a> {
    RqVae(&'a RqVaeConfig),
    /// On the codes of this RQ-VAE.
    RqTransformer(&'a RqTransformerConfig, Box<Stage1>),
}

impl<'a> Stage<'a> {
    fn of(options: &TrainOptions, config: &'a Config, device: &Device) -> Result<Self> {
        match (&config.model, &options.rqvae) {
            (ModelConfig::RqVae(model), None) => Ok(Self::RqVae(model)),
            (ModelConfig::RqTransformer(model), Some(rqvae)) => {
                let rqvae = Options {
                    model: rqvae.clone(),
                    rqvae: None,
                    state: StateKind::Auto,
                    precision: Precision::Stored,
                };
                let rqvae = Stage1::load(&rqvae, device, &mut Task::unwatched())?;
                Ok(Self::RqTransformer(model, Box::new(rqvae)))
            }
            (ModelConfig::RqVae(_), Some(_)) => Err(Error::usage(format!(
                "{}: expected arch.type rq-transformer, found rq-vae: train it by `train rqvae`",
                options.config.display()
            ))),
            (ModelConfig::RqTransformer(_), None) => Err(Error::usage(format!(
                "{}: expected arch.type rq-vae, found rq-transformer: train it by `train rqtransformer`, with --rqvae",
                options.config.display()
            ))),
        }
    }

    /// Which of the two it is.
    fn kind(&self) -> checkpoint::Stage {
        match self {
            Self::RqVae(_) => checkpoint::Stage::RqVae,
            Self::RqTransformer(..) => checkpoint::Stage::RqTransformer,
        }
    }

    /// Of the pictures.
    fn resolution(&self) -> usize {
        match self {
            Self::RqVae(config) => config.ddconfig.resolution,
            Self::RqTransformer(_, rqvae) => rqvae.model.config.ddconfig.resolution,
        }
    }

    /// Its training on the pictures of `wish`, before its first step.
    fn begin(
        self,
        options: &TrainOptions,
        train: &TrainConfig,
        wish: &Wish,
        length: Length,
        task: &mut Task<'_>,
    ) -> Result<Box<dyn Trainee>> {
        let (config, rqvae) = match self {
            Self::RqVae(config) => {
                let (seed, device) = (options.seed, &wish.device);
                let lpips = lpips(options, train, device)?;
                let judges = Judges::begin(train, lpips, wish.resolution, length, seed, device)?;
                let training = Stage1Training::begin(config, train, seed, device)?;
                return Ok(Box::new(training.judged_by(judges)));
            }
            Self::RqTransformer(config, rqvae) => (config, rqvae),
        };
        let latents = match &options.cache {
            Some(path) => {
                let hash = rqvae.id()?.sha256;
                Some(Latents::open_or_make(path, &rqvae.model, &hash, wish, task)?)
            }
            None => None,
        };
        let tokenizer = tokenizer_kind(config)?.map(Tokenizer::new).transpose()?;
        let model = rqvae.model;
        let training = Stage2Training::begin(config, train, model, tokenizer, options.seed, &wish.device)?;
        Ok(match latents {
            Some(latents) => Box::new(training.with_latents(latents)),
            None => Box::new(training),
        })
    }
}

/// Has `trainee` begin with the weights of the model `from`, but for those of which the names start as `anew` says.
fn take(trainee: &mut dyn Trainee, from: &str, anew: &[String], kind: checkpoint::Stage) -> Result<()> {
    let checkpoint = Checkpoint::open(from, Some(kind), StateKind::Auto)?;
    let (judges_anew, anew): (Vec<String>, Vec<String>) =
        anew.iter().cloned().partition(|name| name.starts_with(DISCRIMINATOR));
    let judges = checkpoint.discriminator()?.filter(|_| judges_anew.is_empty());
    let mut others = trainee.take(&checkpoint.weights.without(&anew)?)?;
    if let Some((judges, prefix)) = judges {
        others.extend(trainee.take_judges(&judges, prefix)?);
    }
    if !others.is_empty() {
        tracing::warn!("{from}: without these, or of other shapes; they begin anew: {}", others.join(", "));
    }
    Ok(())
}

/// LPIPS, where the configuration gives it a weight and its files are there.
fn lpips(options: &TrainOptions, train: &TrainConfig, device: &Device) -> Result<Option<Lpips>> {
    let loss = train.gan.as_ref().map(|gan| &gan.loss);
    let (weight, known) = loss.map_or((0.0, &[][..]), |loss| (loss.perceptual_weight, &loss.lpips[..]));
    let paths = if options.lpips.is_empty() { known } else { &options.lpips };
    match (weight > 0.0, paths.is_empty()) {
        (true, false) => Lpips::load(paths, device).map(Some),
        (true, true) => {
            tracing::warn!(
                "gan.loss.perceptual_weight is {weight}, but no weights of LPIPS are given (--lpips): the perceptual term is off"
            );
            Ok(None)
        }
        (false, true) => Ok(None),
        (false, false) => Err(Error::usage(format!(
            "{}: expected a gan.loss.perceptual_weight above 0 for the weights of LPIPS, found none",
            options.config.display()
        ))),
    }
}

fn length(options: &TrainOptions, train: &TrainConfig, pictures: usize) -> Length {
    let in_a_step = train.experiment.batch_size * train.experiment.parts();
    let per_epoch = (pictures as u64 / in_a_step as u64).max(1);
    let steps = options.steps.unwrap_or((train.experiment.epochs * per_epoch as f64).ceil() as u64).max(1);
    Length { per_epoch, steps }
}

fn plan(options: &TrainOptions, train: &TrainConfig, Length { per_epoch, steps }: Length) -> Plan {
    let experiment = &train.experiment;
    let in_steps = |epochs: f64| (epochs * per_epoch as f64).round() as u64;
    let test_every = options.test_every.unwrap_or(in_steps(experiment.test_freq)).max(1);
    Plan {
        schedule: train.optimizer.schedule(per_epoch, steps),
        steps,
        parts: experiment.parts(),
        save_every: options.save_every.unwrap_or(in_steps(experiment.save_ckpt_freq)).max(1),
        sheet_every: options.sheet_every.unwrap_or(per_epoch).max(1),
        test_every,
        // As published, the first epoch is always followed by one.
        first_test: options.test_every.unwrap_or(per_epoch).min(test_every),
    }
}

/// The pictures that the sheets of a run show: some held-out ones, spread over all.
fn shown(wish: &Wish, held_out: Vec<crate::train::data::Item>) -> Result<Option<Loaded>> {
    let every = held_out.len().div_ceil(SHEET).max(1);
    let items: Vec<_> = held_out.into_iter().step_by(every).collect();
    in_order(&Wish { items, size: SHEET, ..wish.clone() }).next().transpose()
}

fn read(path: &Path) -> Result<Config> {
    let text = String::from_utf8(files::read_limited(path, LONGEST)?)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
    Config::parse(&path.display().to_string(), &text)
}

fn classes(config: &Config) -> Vec<String> {
    match &config.model {
        ModelConfig::RqTransformer(config) => config.classes.clone(),
        ModelConfig::RqVae(_) => Vec::new(),
    }
}

/// `dataset.transforms.type`, or where that is a string, as for captions, `dataset.transforms`.
fn transforms(config: &Config) -> Option<&str> {
    let transforms = config.document.pointer("/dataset/transforms")?;
    transforms.get("type").unwrap_or(transforms).as_str()
}

/// A transformer's configuration names its classes, so that people can, and where its RQ-VAE lies; an RQ-VAE's where the
/// weights of LPIPS do.
fn described(mut document: Value, classes: &[String], options: &TrainOptions) -> Value {
    let lpips: Vec<PathBuf> = options.lpips.iter().flat_map(|path| path.canonicalize()).collect();
    if !lpips.is_empty() {
        document["gan"]["loss"]["lpips"] = json!(lpips);
    }
    let Some(rqvae) = &options.rqvae else { return document };
    if !classes.is_empty() {
        document["classes"] = json!(classes);
    }
    if let Ok(path) = Path::new(rqvae).canonicalize() {
        document["vqvae"] = json!({ "ckpt": path });
    }
    document
}
