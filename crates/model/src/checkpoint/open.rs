//! Opens a checkpoint from any place the user names: a folder, a `.pt`, a `.safetensors`, an archive or a
//! bundled model.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::parameters::{fitted, planned};
use crate::Parameter;
use residua_core::config::{Config, ModelConfig, RqTransformerConfig, RqVaeConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::files::bytes::ByteSource;
use residua_core::text::{counted, some_of};
use residua_io::assets;
use residua_io::assets::bundled::{self, Bundled};
#[cfg(not(target_family = "wasm"))]
use residua_weights::archive::Unpacked;
use residua_weights::folder::{self, ModelFiles};
use residua_weights::{CONFIG_KEY, WeightFile, st};

/// The size limit for `config.yaml` and `classes.txt`, in bytes.
const LONGEST_TEXT: u64 = 1 << 20;
/// The configuration's key for the licence.
pub(super) const LICENCE_KEY: &str = "license";

/// Files that a page has unpacked, which it keeps itself.
#[cfg(target_family = "wasm")]
#[derive(Debug)]
struct Unpacked;

#[cfg(target_family = "wasm")]
impl Unpacked {
    fn models(&self) -> &[ModelFiles] {
        &[]
    }
}

/// Which of the two models to open.
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

/// An open checkpoint: its configuration, with weights not read yet.
#[derive(Debug)]
pub struct Checkpoint {
    /// The name in recipes and messages, with which the checkpoint can be reopened.
    pub name: String,
    /// The configuration.
    pub config: Config,
    /// The weights.
    pub weights: WeightFile,
    /// The path; `None` for a bundled model.
    pub(super) path: Option<PathBuf>,
    /// Keeps unpacked files until the checkpoint is closed.
    unpacked: Option<Arc<Unpacked>>,
    /// What the model reads, once it is known.
    pub(super) parameters: OnceLock<Vec<Parameter>>,
    /// The hash of the tensors, once it was asked for.
    pub(super) content: OnceLock<String>,
}

impl Checkpoint {
    /// Opens the bundled model or path named by `place`. If there are several models, takes the one of
    /// `stage`; with `None`, there must be only one.
    pub fn open(place: &str, stage: Option<Stage>, kind: StateKind) -> Result<Self> {
        if let Some(files) = bundled::find(place) {
            return of_bundled(files, stage.unwrap_or(Stage::RqTransformer), kind);
        }
        let mut found = Self::open_all(place, stage, kind)?;
        match (found.len(), stage) {
            (1, _) => Ok(found.remove(0)),
            (0, stage) => {
                let wanted = stage.map_or("a model", Stage::name);
                Err(Error::invalid(format!("{place}: expected {wanted}, found none in it")))
            }
            (_, _) => {
                let names: Vec<String> = found.iter().map(|found| found.weights.name().into()).collect();
                Err(Error::invalid(format!("{place} has several models; name one of {}", some_of(&names))))
            }
        }
    }

    /// Opens all models that `place` names, optionally only those of `stage`. A place is a bundled model, or
    /// the path of weights, of an archive, or of a folder with models in it or in its direct subfolders.
    pub fn open_all(place: &str, stage: Option<Stage>, kind: StateKind) -> Result<Vec<Self>> {
        if let Some(files) = bundled::find(place) {
            let stages = [Stage::RqVae, Stage::RqTransformer].into_iter();
            let stages = stages.filter(|of| stage.is_none_or(|stage| stage == *of));
            return stages.map(|stage| of_bundled(files, stage, kind)).collect();
        }
        let unreadable = match place {
            "-" => Some("found -, standard input"),
            "" => Some("found an empty name"),
            _ => None,
        };
        if let Some(found) = unreadable {
            return Err(Error::usage(format!("expected a model's file or folder, {found}")));
        }
        let path = files::located(place);
        let latest = if files::is_folder(path)? { folder::latest(path)? } else { path.into() };
        let path = latest.as_path();
        let (models, unpacked) = if files::is_folder(path)? {
            (models_in(path)?, None)
        } else if is_archive(path) {
            let unpacked = unpacked(path)?;
            (unpacked.models().to_vec(), Some(unpacked))
        } else {
            (vec![of_weights(path)?], None)
        };
        let mut found = Vec::with_capacity(models.len());
        for files in models {
            // Check the stage first: an unwanted model need not have the requested kind of weights.
            let config = files.config.as_ref().map(|_| read_config(&files)).transpose()?;
            let is_wanted = |config: &Config| stage.is_none_or(|stage| stage == Stage::of(config));
            if config.as_ref().is_some_and(|config| !is_wanted(config)) {
                continue;
            }
            let archive = unpacked.clone().map(|unpacked| (path, unpacked));
            let checkpoint = Self::from_files(&files, config, archive, kind)?;
            if is_wanted(&checkpoint.config) {
                found.push(checkpoint);
            }
        }
        Ok(found)
    }

    /// Opens `files`, with the configuration `config` or else the one inside the weights; `archive` is where
    /// they were unpacked from.
    fn from_files(
        files: &ModelFiles,
        config: Option<Config>,
        archive: Option<(&Path, Arc<Unpacked>)>,
        kind: StateKind,
    ) -> Result<Self> {
        let shown = files.shown.display().to_string();
        let weights = WeightFile::open_as(&shown, &files.weights, kind)?;
        let mut config = match (config, weights.metadata().get(CONFIG_KEY)) {
            (Some(config), _) => config,
            (None, Some(text)) => Config::parse(&shown, text)?,
            (None, None) => {
                return Err(Error::invalid(format!("{shown}: expected config.yaml beside it, found none")));
            }
        };
        read_classes(&mut config, &files.weights)?;
        let name = archive.as_ref().map_or(shown, |(path, _)| path.display().to_string());
        let unpacked = archive.map(|(_, unpacked)| unpacked);
        Ok(Self { path: Some(files.weights.clone()), unpacked, ..Self::new(name, config, weights) })
    }

    /// Opens a model in one file, with its configuration inside.
    pub fn from_source(name: &str, weights: ByteSource, kind: StateKind) -> Result<Self> {
        let weights = WeightFile::from_source(name, weights, kind)?;
        let config = weights.metadata().get(CONFIG_KEY).ok_or_else(|| {
            Error::invalid(format!("{name}: expected a configuration in the file's metadata, found none"))
        })?;
        let config = Config::parse(name, config)?;
        Ok(Self::new(name.into(), config, weights))
    }

    /// The checkpoint of these weights, under the names that the model of `config` reads. If the model cannot be
    /// built, [`Self::parameters`] says why.
    fn new(name: String, config: Config, weights: WeightFile) -> Self {
        let parameters = planned(&config.model).map_or_else(|_| OnceLock::new(), OnceLock::from);
        let weights = fitted(weights, parameters.get().map_or(&[], Vec::as_slice), &config);
        Self { name, config, weights, path: None, unpacked: None, parameters, content: OnceLock::new() }
    }

    /// Opens the stage 1 that this stage 2 was trained on: at `given`, else where the configuration says,
    /// else beside this file.
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
            Some(place) => match self.beside_in_archive(&place) {
                Some((files, unpacked)) => {
                    let config = files.config.as_ref().map(|_| read_config(files)).transpose()?;
                    Self::from_files(files, config, Some((Path::new(&self.name), unpacked.clone())), kind)
                }
                None => Self::open(&place.display().to_string(), Some(Stage::RqVae), kind),
            },
            None => Err(Error::usage(format!(
                "{}: no RQ-VAE (stage 1) found beside it: name its RQ-VAE, too",
                self.name
            ))),
        }
    }

    /// Whether the file of the weights carries the configuration.
    pub fn carries_config(&self) -> bool {
        st::is_own(self.weights.metadata())
    }

    /// The licence that the configuration names, else that of the bundled model.
    pub fn licence(&self) -> Option<&str> {
        let named = self.config.document.get(LICENCE_KEY).and_then(|licence| licence.as_str());
        named.or_else(|| bundled::find(&self.name).map(|bundled| bundled.licence))
    }

    /// The path of the weights, unless they are bundled or in an archive.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn place(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.unpacked.is_none())
    }

    /// The model at `place`, if that is in the same unpacked archive as this one.
    fn beside_in_archive(&self, place: &Path) -> Option<(&ModelFiles, &Arc<Unpacked>)> {
        let (unpacked, place) = (self.unpacked.as_ref()?, place.canonicalize().ok()?);
        let is_there = |files: &&ModelFiles| {
            files.weights.canonicalize().is_ok_and(|weights| weights.starts_with(&place))
        };
        Some((unpacked.models().iter().find(is_there)?, unpacked))
    }

    /// The configuration, if this is an RQ-VAE.
    pub fn rqvae(&self) -> Result<&RqVaeConfig> {
        match &self.config.model {
            ModelConfig::RqVae(config) => Ok(config),
            ModelConfig::RqTransformer(_) => Err(self.of_another_stage(Stage::RqVae)),
        }
    }

    /// The configuration, if this is an RQ-Transformer.
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
}

/// One of the two stages of a bundled model.
fn of_bundled(model: &Bundled, stage: Stage, kind: StateKind) -> Result<Checkpoint> {
    let [stage1, stage2] = model.files();
    let file = match stage {
        Stage::RqVae => stage1,
        Stage::RqTransformer => stage2,
    };
    Checkpoint::from_source(model.name, assets::open(file)?, kind)
}

/// The weights at `path`, with their configuration.
fn of_weights(path: &Path) -> Result<ModelFiles> {
    if is_config(path) {
        return Err(Error::invalid(format!(
            "{}: expected weights, found a configuration: name the weights, or their folder",
            path.display()
        )));
    }
    let carried = st::has_config(&ByteSource::open(path)?);
    let config = if carried { None } else { folder::config_of(path)? };
    Ok(ModelFiles { config, weights: path.into(), shown: path.into() })
}

/// Whether `path` has the name of a configuration, rather than that of weights or of their index.
fn is_config(path: &Path) -> bool {
    let is = |ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    let is_index = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".index"));
    ["yaml", "yml", "json"].iter().any(|ending| is(ending)) && !is_index
}

/// The models in `folder`, or those in its direct subfolders.
fn models_in(folder: &Path) -> Result<Vec<ModelFiles>> {
    let mut found = folder::models(folder, folder)?;
    if found.is_empty() {
        for below in files::list(folder)?.into_iter().filter(|path| files::is_folder(path).unwrap_or(false)) {
            // Skip folders with only a configuration, and those that cannot be read.
            if folder::weights_of(&below).is_ok_and(|weights| !weights.is_empty()) {
                found.extend(folder::models(&below, &below)?);
            }
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let expected = if folder::weights_in(folder)?.is_empty() {
        format!("expected config.yaml and weights ({})", folder::endings())
    } else {
        "expected config.yaml beside the weights".into()
    };
    Err(Error::invalid(format!("{}: {expected}, found none", folder.display())))
}

#[cfg(not(target_family = "wasm"))]
fn unpacked(path: &Path) -> Result<Arc<Unpacked>> {
    Ok(Arc::new(residua_weights::archive::unpack(path)?))
}

/// A page passes archives already unpacked, as folders.
#[cfg(target_family = "wasm")]
fn unpacked(path: &Path) -> Result<Arc<Unpacked>> {
    Err(Error::invalid(format!("{}: expected an unpacked archive, found a packed one", path.display())))
}

/// Whether `path` has the name of an archive, and not PyTorch's weights: those are often called `model.pth.tar`.
fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let start = ByteSource::open(path).and_then(|source| source.read_at(0, source.len().min(4)));
    let is_torch = start.is_ok_and(|start| matches!(start[..], [b'P', b'K', 3, 4] | [0x80, ..]));
    [".tar.gz", ".tgz", ".tar"].iter().any(|ending| name.ends_with(ending)) && !is_torch
}

fn read_text(path: &Path) -> Result<String> {
    files::read_text(path, LONGEST_TEXT)
}

/// The configuration beside the weights in `files`.
fn read_config(files: &ModelFiles) -> Result<Config> {
    let path = files.config.as_deref().unwrap_or(&files.weights);
    let folder_of = |path: &Path| path.parent().unwrap_or(Path::new("")).to_path_buf();
    let name = path
        .strip_prefix(folder_of(&files.weights))
        .map_or(path.into(), |name| folder_of(&files.shown).join(name));
    Config::parse(&name.display().to_string(), &read_text(path)?)
}

/// Reads class names from `classes.txt` in the model's folder or its parent, one per line, if the
/// configuration has none.
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
                "{}: expected {}, found {}; they are not used",
                place.display(),
                counted(model.vocab_size_cond, "class name"),
                names.len()
            );
        }
    }
    Ok(())
}
