//! What a run trains: a model of either stage, with everything it learns from.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use tracing::subscriber::{NoSubscriber, with_default};

use super::document::Places;
use super::held::{Settled, stage1_options};
use super::{TrainOptions, named};
use crate::models::{Stage1, id_of_file};
use residua_core::config::{ConditionKind, Config, ModelConfig, RqTransformerConfig, RqVaeConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::files::bytes::ByteSource;
use residua_core::task::Task;
use residua_judges::Lpips;
use residua_model::checkpoint::convert::convert;
use residua_model::{Checkpoint, Stage};
use residua_protocol::condition::tokenizer;
use residua_train::conditions::{check_captions, check_labels};
use residua_train::config::TrainConfig;
use residua_train::data::{DataSet, Wish};
use residua_train::judges::{Judges, Length};
use residua_train::latents::Latents;
use residua_train::record::Record;
use residua_train::run::RunFolder;
use residua_train::stage1::Stage1Training;
use residua_train::stage2::Stage2Training;
use residua_train::trainee::Trainee;
use residua_weights::{Dtype, WeightFile};

/// The model to train.
pub enum Goal {
    RqVae(Box<RqVaeConfig>),
    /// On the codes of this RQ-VAE.
    RqTransformer(Box<RqTransformerConfig>, Box<Stage1>),
}

impl Goal {
    /// `folder` is that of a resumed run, which has its own RQ-VAE.
    ///
    /// # Errors
    /// The configuration is for the other stage; the RQ-VAE is missing or cannot be loaded.
    pub fn of(
        options: &TrainOptions,
        config: &Config,
        folder: Option<&RunFolder>,
        device: &Device,
    ) -> Result<Self> {
        let model = match (&config.model, &options.rqvae) {
            (ModelConfig::RqTransformer(model), _) => model,
            (ModelConfig::RqVae(model), None) => return Ok(Self::RqVae(model.clone())),
            (ModelConfig::RqVae(_), Some(_)) => {
                return Err(Error::usage(format!(
                    "{}: expected arch.type rq-transformer, found rq-vae: train it as an RQ-VAE",
                    named(&options.config)
                )));
            }
        };
        let own = folder.and_then(|folder| kept_rqvae(folder, model.stage1_sha256.as_deref()));
        let rqvae = match (own, &options.rqvae, folder) {
            (Some(own), ..) => Stage1::from_checkpoint(own, device, &mut Task::unwatched())?,
            (None, Some(place), _) => Stage1::load(&stage1_options(place), device, &mut Task::unwatched())?,
            (None, None, Some(folder)) => {
                return Err(Error::usage(format!(
                    "{}: expected the RQ-VAE that this run learns from, found none or another: name that RQ-VAE",
                    folder.stage1().display()
                )));
            }
            (None, None, None) => {
                return Err(Error::usage(format!(
                    "{}: expected arch.type rq-vae, found rq-transformer: train it as an RQ-Transformer, with its RQ-VAE",
                    named(&options.config)
                )));
            }
        };
        Ok(Self::RqTransformer(model.clone(), Box::new(rqvae)))
    }

    /// Refuses data that the model cannot learn from, and options that would do nothing.
    pub fn check(&self, options: &TrainOptions, data: &DataSet, settled: Settled) -> Result<()> {
        if options.test_every.is_some() && settled.all {
            return Err(Error::usage(
                "test-every: expected held-out pictures to measure on, found none, as the run trains on all: leave out test-every or \
                 all",
            ));
        }
        let condition = match self {
            Self::RqVae(_) => ConditionKind::Unconditional,
            Self::RqTransformer(config, _) => config.condition(),
        };
        if options.unlabelled && condition == ConditionKind::Unconditional {
            return Err(Error::usage(
                "unlabelled: expected a model that takes a class or caption, found one that takes neither: leave it out",
            ));
        }
        let folder = &options.data;
        let Self::RqTransformer(config, _) = self else { return Ok(()) };
        let classes = data.items.iter().filter_map(|item| item.class).max().map_or(0, |last| last + 1);
        if condition == ConditionKind::Class && classes > config.vocab_size_cond {
            return Err(Error::invalid(format!(
                "vocab_size_cond: expected at least {classes}, the number of classes in {}, found {}",
                folder.display(),
                config.vocab_size_cond
            )));
        }
        if !settled.unlabelled {
            check_labels(folder, &data.items, condition)?;
        }
        tokenizer(config)?.map_or(Ok(()), |tokenizer| check_captions(folder, &data.items, config, &tokenizer))
    }

    /// What determines the run, which learns from `lpips`; `kept` is the record of a resumed one.
    pub fn record(
        &self,
        settled: Settled,
        kept: Option<&Record>,
        data: &DataSet,
        fingerprint: String,
        lpips: &[PathBuf],
    ) -> Result<Record> {
        let Settled { seed, all, unlabelled, variations, steps } = settled;
        let stage1 = match (self, kept.and_then(|kept| kept.stage1.clone())) {
            (Self::RqTransformer(_, rqvae), None) => Some(rqvae.id()?.sha256),
            (_, kept) => kept,
        };
        let mut lpips = lpips.iter().map(|path| sha256(path)).collect::<Result<Vec<_>>>()?;
        lpips.sort();
        Ok(Record {
            residua: env!("CARGO_PKG_VERSION").into(),
            seed,
            all,
            unlabelled,
            variations,
            steps,
            pictures: data.items.len(),
            data: fingerprint,
            stage1,
            lpips: Some(lpips),
        })
    }

    /// Copies the RQ-VAE, if there is one, into `folder` unless the same is already there or another rank writes it;
    /// returns the SHA-256 of its tensors.
    pub fn keep(&self, folder: &RunFolder) -> Result<Option<String>> {
        let Self::RqTransformer(_, rqvae) = self else { return Ok(None) };
        let own = rqvae.id()?.sha256;
        // Warnings about keys were given when the RQ-VAE was opened.
        let there = with_default(NoSubscriber::default(), || kept_rqvae(folder, Some(&own)));
        if there.is_none() && folder.writes() {
            let path = folder.stage1();
            let parent = path.parent().unwrap_or(folder.root());
            files::create_folder(parent)?;
            keep(&rqvae.checkpoint, &path)?;
        }
        Ok(Some(own))
    }

    /// Whether each part of a step changes what the next one learns with: codebooks move with every part.
    pub fn moves_with_parts(&self) -> bool {
        matches!(self, Self::RqVae(_))
    }

    /// Which of the two stages it is.
    pub fn stage(&self) -> Stage {
        match self {
            Self::RqVae(_) => Stage::RqVae,
            Self::RqTransformer(..) => Stage::RqTransformer,
        }
    }

    /// Resolution of the pictures, in pixels per side.
    pub fn resolution(&self) -> usize {
        match self {
            Self::RqVae(config) => config.ddconfig.resolution,
            Self::RqTransformer(_, rqvae) => rqvae.model.config.ddconfig.resolution,
        }
    }

    /// Latents of the pictures of `wish` from the cache file, if one is requested; `data` is the fingerprint
    /// of their folder.
    pub fn latents(
        &self,
        options: &TrainOptions,
        places: &Places,
        data: &str,
        wish: &Wish,
        task: &mut Task<'_>,
    ) -> Result<Option<Latents>> {
        match (self, &options.cache, &places.stage1) {
            (Self::RqTransformer(_, rqvae), Some(path), Some(hash)) => {
                Latents::open_or_make(path, &rqvae.model, [hash, data], wish, task).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The training on the pictures of `wish`, before its first step.
    pub fn begin(
        self,
        options: &TrainOptions,
        train: &TrainConfig,
        wish: &Wish,
        places: &Places,
        latents: Option<Latents>,
        length: Length,
    ) -> Result<Box<dyn Trainee>> {
        let (seed, device) = (wish.seed, &wish.device);
        let (config, rqvae) = match self {
            Self::RqVae(config) => {
                let lpips = lpips(options, train, &places.lpips, device)?;
                let judges = Judges::begin(train, lpips, wish.resolution, length, seed, device)?;
                let training = Stage1Training::begin(&config, train, seed, device)?;
                return Ok(Box::new(training.judged_by(judges)));
            }
            Self::RqTransformer(config, rqvae) => (config, rqvae),
        };
        let tokenizer = tokenizer(&config)?;
        let training = Stage2Training::begin(&config, train, rqvae.model, tokenizer, seed, device)?;
        Ok(match latents {
            Some(latents) => Box::new(training.with_latents(latents)),
            None => Box::new(training),
        })
    }
}

/// The copy of the RQ-VAE in the `folder` of a run; `None` if it is missing, unreadable or not the one with
/// this `hash`.
fn kept_rqvae(folder: &RunFolder, hash: Option<&str>) -> Option<Checkpoint> {
    let path = folder.stage1();
    // The name is for messages: the path itself may not be Unicode.
    let source = ByteSource::open(&path).ok()?;
    let found = Checkpoint::from_source(&path.display().to_string(), source, StateKind::Auto).ok()?;
    hash.is_none_or(|hash| found.is(hash).unwrap_or(false)).then_some(found)
}

/// SHA-256 of the weight file at `path`.
fn sha256(path: &Path) -> Result<String> {
    Ok(id_of_file(&WeightFile::open(path, StateKind::Auto)?)?.sha256)
}

/// Writes the weights of `checkpoint` to `path`: an identical copy of its file if that includes the
/// configuration, else what the model reads of it.
fn keep(checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    if !checkpoint.carries_config() {
        return files::write_atomically(path, |file| convert(checkpoint, file, path, Dtype::F32, |_| Ok(())));
    }
    files::write_atomically(path, |file| {
        checkpoint.weights.for_each_chunk(|chunk| file.write_all(chunk).map_err(Error::io("write", path)))
    })
}

/// LPIPS, if the configuration gives it a weight and its files are given.
fn lpips(
    options: &TrainOptions,
    train: &TrainConfig,
    paths: &[PathBuf],
    device: &Device,
) -> Result<Option<Lpips>> {
    let weight = train.gan.as_ref().map_or(0.0, |gan| gan.loss.perceptual_weight);
    match (weight > 0.0, paths.is_empty()) {
        (true, false) => Lpips::load(paths, device).map(Some),
        (true, true) => {
            tracing::warn!(
                "gan.loss.perceptual_weight is {weight}, but no LPIPS weights are given: the perceptual term is off"
            );
            Ok(None)
        }
        (false, true) => Ok(None),
        (false, false) => Err(Error::usage(format!(
            "{}: expected a gan.loss.perceptual_weight above 0 to use the LPIPS weights, found none",
            named(&options.config)
        ))),
    }
}
