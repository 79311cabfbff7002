//! Finds a checkpoint wherever a person points: a folder, a `.pt`, a `.safetensors`, an archive, or a bundled model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(not(target_family = "wasm"))]
use super::archive::Unpacked;
use super::bytes::ByteSource;
use super::folder::{self, ModelFiles, find};
use super::weights::{StateKind, WeightFile};
use super::{Loader, bundled};
use crate::assets::bundled::Bundled;
use crate::error::{Error, Result};
use crate::files;
use crate::model::{Config, ModelConfig, RqTransformerConfig, RqVaeConfig};

/// The longest `config.yaml` or `classes.txt` that is read, in bytes.
const LONGEST_TEXT: u64 = 1 << 20;
/// The key of our safetensors under which the configuration is kept.
pub const CONFIG_KEY: &str = "config";

/// Files that a page has unpacked, it keeps by itself.
#[cfg(target_family = "wasm")]
#[derive(Debug)]
struct Unpacked;

#[cfg(target_family = "wasm")]
impl Unpacked {
    fn models(&self) -> &[ModelFiles] {
        &[]
    }
}

/// Which of the two models is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// The RQ-VAE.
    RqVae,
    /// The RQ-Transformer.
    RqTransformer,
}

impl Stage {
    fn of(config: &Config) -> Self {
        match config.model {
            ModelConfig::RqVae(_) => Self::RqVae,
            ModelConfig::RqTransformer(_) => Self::RqTransformer,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::RqVae => "an RQ-VAE (stage 1)",
            Self::RqTransformer => "an RQ-Transformer (stage 2)",
        }
    }
}

/// An open checkpoint: its configuration, and its weights not yet read.
#[derive(Debug)]
pub struct Checkpoint {
    /// What messages and recipes call it.
    pub name: String,
    /// The configuration.
    pub config: Config,
    /// The weights.
    pub weights: WeightFile,
    /// Where it lies; `None` for a bundled model.
    pub(super) path: Option<PathBuf>,
    /// Keeps unpacked files until the checkpoint is closed.
    _unpacked: Option<Arc<Unpacked>>,
}

impl Checkpoint {
    /// Opens what `place` names: a bundled model, or a path. Where that holds several models, the one of `stage` is
    /// taken; `None` takes the only one.
    pub fn open(place: &str, stage: Option<Stage>, kind: StateKind) -> Result<Self> {
        if let Some(files) = bundled::find(place) {
            return files.open(stage.unwrap_or(Stage::RqTransformer), kind);
        }
        let mut found = Self::open_all(files::located(place), stage, kind)?;
        match (found.len(), stage) {
            (1, _) => Ok(found.remove(0)),
            (0, stage) => {
                let wanted = stage.map_or("a model", Stage::name);
                Err(Error::invalid(format!("{place}: expected {wanted}, found none in it")))
            }
            (_, _) => {
                let names: Vec<&str> = found.iter().map(|checkpoint| checkpoint.name.as_str()).collect();
                Err(Error::invalid(format!("{place} has several models; name one of {}", names.join(", "))))
            }
        }
    }

    /// Opens all models of `stage`, or of either, at `path`: of an archive, of a folder, or of the folders in it.
    pub fn open_all(path: &Path, stage: Option<Stage>, kind: StateKind) -> Result<Vec<Self>> {
        let latest = if files::is_folder(path)? { folder::latest(path)? } else { path.into() };
        let path = latest.as_path();
        let (models, unpacked) = if files::is_folder(path)? {
            (models_in(path)?, None)
        } else if is_archive(path) {
            let unpacked = unpacked(path)?;
            (unpacked.models().to_vec(), Some(unpacked))
        } else {
            let checkpoint = Self::from_weights(path, kind)?;
            let wanted = stage.is_none_or(|stage| stage == Stage::of(&checkpoint.config));
            return Ok(if wanted { vec![checkpoint] } else { Vec::new() });
        };
        let mut found = Vec::with_capacity(models.len());
        for files in models {
            // The weights of a model that is not wanted need not be of the kind that is.
            let config = read_config(&files.config)?;
            if stage.is_none_or(|stage| stage == Stage::of(&config)) {
                found.push(Self::from_files(files, config, unpacked.clone(), kind)?);
            }
        }
        Ok(found)
    }

    /// A weight file with its configuration inside, or beside it in `config.yaml`.
    fn from_weights(path: &Path, kind: StateKind) -> Result<Self> {
        let weights = WeightFile::open(path, kind)?;
        let name = path.display().to_string();
        let mut config = match weights.metadata().get(CONFIG_KEY) {
            Some(text) => Config::parse(&name, text)?,
            None => {
                let beside = path.with_file_name("config.yaml");
                if !files::is_file(&beside) {
                    return Err(Error::invalid(format!(
                        "{name}: expected config.yaml beside it, found none"
                    )));
                }
                read_config(&beside)?
            }
        };
        read_classes(&mut config, path)?;
        Ok(Self { name, config, weights, path: Some(path.to_path_buf()), _unpacked: None })
    }

    fn from_files(
        files: ModelFiles,
        mut config: Config,
        unpacked: Option<Arc<Unpacked>>,
        kind: StateKind,
    ) -> Result<Self> {
        read_classes(&mut config, &files.weights)?;
        Ok(Self {
            name: files.weights.display().to_string(),
            config,
            weights: WeightFile::open(&files.weights, kind)?,
            path: Some(files.weights),
            _unpacked: unpacked,
        })
    }

    /// A model in one file, with its configuration inside.
    pub fn from_source(name: &str, weights: ByteSource, kind: StateKind) -> Result<Self> {
        let weights = WeightFile::from_source(name, weights, kind)?;
        let config = weights.metadata().get(CONFIG_KEY).ok_or_else(|| {
            Error::invalid(format!("{name}: expected a configuration in the file's metadata, found none"))
        })?;
        let config = Config::parse(name, config)?;
        Ok(Self { name: name.into(), config, weights, path: None, _unpacked: None })
    }

    /// The stage 1 that this stage 2 was trained on: at `given` if that is said, else where the configuration says, else
    /// beside it.
    pub fn open_stage1(&self, given: Option<&str>, kind: StateKind) -> Result<Self> {
        if let Some(given) = given {
            return Self::open(given, Some(Stage::RqVae), kind);
        }
        let Some(path) = &self.path else {
            return Self::open(&self.name, Some(Stage::RqVae), kind);
        };
        let named = match &self.config.model {
            ModelConfig::RqTransformer(config) => config.stage1.clone(),
            ModelConfig::RqVae(_) => None,
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let beside = ["stage1.safetensors", "rqvae.safetensors", "../stage1", "stage1", "../rqvae"];
        let places = named.iter().map(String::as_str).chain(beside).map(|place| folder.join(place));
        match places.into_iter().find(|place| files::exists(place)) {
            Some(place) => Self::open(&place.display().to_string(), Some(Stage::RqVae), kind),
            None => Err(Error::usage(format!(
                "{}: its RQ-VAE (stage 1) was not found beside it; give it with --rqvae",
                self.name
            ))),
        }
    }

    /// The configuration of an RQ-VAE.
    pub fn rqvae(&self) -> Result<&RqVaeConfig> {
        match &self.config.model {
            ModelConfig::RqVae(config) => Ok(config),
            ModelConfig::RqTransformer(_) => Err(self.of_another_stage(Stage::RqVae)),
        }
    }

    /// The configuration of an RQ-Transformer.
    pub fn rqtransformer(&self) -> Result<&RqTransformerConfig> {
        match &self.config.model {
            ModelConfig::RqTransformer(config) => Ok(config),
            ModelConfig::RqVae(_) => Err(self.of_another_stage(Stage::RqTransformer)),
        }
    }

    fn of_another_stage(&self, expected: Stage) -> Error {
        let found = Stage::of(&self.config).name();
        Error::invalid(format!("{}: expected {}, found {found}", self.name, expected.name()))
    }

    /// Asks a plan of the model for all that it reads: names and shapes, in the model's order.
    pub fn parameters(&self) -> Result<Vec<super::Parameter>> {
        let mut loader = Loader::plan(&crate::device::cpu());
        match &self.config.model {
            ModelConfig::RqVae(config) => drop(crate::model::RqVae::load(&mut loader, config)?),
            ModelConfig::RqTransformer(config) => {
                drop(crate::model::RqTransformer::load(&mut loader, config, None)?);
            }
        }
        loader.finish()
    }
}

impl Bundled {
    /// Opens one of its stages.
    pub fn open(&self, stage: Stage, kind: StateKind) -> Result<Checkpoint> {
        let [stage1, stage2] = self.files();
        let file = match stage {
            Stage::RqVae => stage1,
            Stage::RqTransformer => stage2,
        };
        Checkpoint::from_source(self.name, file.open()?, kind)
    }
}

/// The model in `folder`, or those in the folders directly below it.
fn models_in(folder: &Path) -> Result<Vec<ModelFiles>> {
    if files::is_file(&folder.join("config.yaml")) {
        return Ok(vec![find(folder)?]);
    }
    let below = files::list(folder)?.into_iter();
    let below: Vec<PathBuf> = below.filter(|path| files::is_file(&path.join("config.yaml"))).collect();
    if below.is_empty() {
        return Ok(vec![find(folder)?]);
    }
    below.iter().map(|path| find(path)).collect()
}

#[cfg(not(target_family = "wasm"))]
fn unpacked(path: &Path) -> Result<Arc<Unpacked>> {
    Ok(Arc::new(super::archive::unpack(path)?))
}

/// A page hands archives over unpacked, as folders.
#[cfg(target_family = "wasm")]
fn unpacked(path: &Path) -> Result<Arc<Unpacked>> {
    Err(Error::invalid(format!("{}: expected an archive that is unpacked, found it packed", path.display())))
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    [".tar.gz", ".tgz", ".tar"].iter().any(|ending| name.ends_with(ending))
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = files::read_limited(path, LONGEST_TEXT)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::invalid(format!("{}: expected text in UTF-8", path.display())))
}

fn read_config(path: &Path) -> Result<Config> {
    Config::parse(&path.display().to_string(), &read_text(path)?)
}

/// Class names from `classes.txt` in the model's folder or the one above it, one a line, where the configuration has
/// none.
fn read_classes(config: &mut Config, weights: &Path) -> Result<()> {
    let ModelConfig::RqTransformer(model) = &mut config.model else { return Ok(()) };
    if !model.classes.is_empty() {
        return Ok(());
    }
    let folder = weights.parent().unwrap_or(Path::new("."));
    let places = [folder.join("classes.txt"), folder.join("../classes.txt")];
    if let Some(place) = places.iter().find(|place| files::is_file(place)) {
        let names: Vec<String> = read_text(place)?.lines().map(|line| line.trim().to_string()).collect();
        let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        if names.len() == model.vocab_size_cond {
            config.document["classes"] = names.clone().into();
            model.classes = names;
        } else {
            tracing::warn!(
                "{}: expected {} class names, found {}; they are not used",
                place.display(),
                model.vocab_size_cond,
                names.len()
            );
        }
    }
    Ok(())
}
