//! Options shared by several subcommands.

use std::path::Path;

use burn::tensor::Device;
use clap::Args;

use super::output::Console;
use super::words::{DEVICES, GPU_KERNELS, PRECISIONS, WEIGHTS, one_of};
use residua_core::config::{Precision, RqTransformerConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::sampling::{Filter, Sampling};
use residua_engine::start::{GpuKernels, start};
use residua_engine::{Stage1, Stage2};
use residua_io::assets::bundled;
use residua_io::image_io::run_of;
use residua_kernels::device::DeviceChoice;
use residua_protocol::{Condition, Options, Recipe};

/// The model and the device that it runs on.
#[derive(Args, Clone)]
pub struct ModelArguments {
    /// Model: a bundled name (characters-128, characters-128-ar), a folder, or a .pt, .safetensors or
    /// .tar.gz file. [default: the input picture's model if its recipe is used, else characters-128]
    #[arg(long, short, value_name = "NAME|PATH")]
    pub model: Option<String>,
    /// RQ-VAE to use, if it is not where the transformer's configuration says.
    #[arg(long, value_name = "PATH")]
    pub rqvae: Option<String>,
    /// Weights to load: the trained ones, or their moving average (EMA), which helps only if training updated
    /// it.
    #[arg(long, value_parser = one_of(WEIGHTS), default_value = "auto")]
    pub weights: StateKind,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// The transformer, its RQ-VAE and the device that they run on.
#[derive(Args, Clone)]
pub struct TransformerArguments {
    #[command(flatten)]
    pub model: ModelArguments,
    /// Precision of the transformer's weights in memory: fewer bits need less memory and time. [default: as
    /// in the file]
    #[arg(long, value_parser = one_of(PRECISIONS))]
    precision: Option<Precision>,
    /// Same as --precision f16.
    #[arg(long, conflicts_with = "precision")]
    half: bool,
}

/// The device to compute on.
#[derive(Args, Clone, Default)]
pub struct DeviceArguments {
    /// Device to compute on. auto picks a hardware GPU if there is one and it is faster than the CPU in a
    /// short trial.
    #[arg(long, value_parser = one_of(DEVICES), default_value = "auto")]
    pub device: DeviceChoice,
    /// Use the hand-written kernels on a GPU, each checked first, or only Burn's own operations. [default:
    /// on]
    #[arg(long, value_parser = one_of(GPU_KERNELS), value_name = "ON|OFF")]
    gpu_kernels: Option<GpuKernels>,
}

impl ModelArguments {
    /// The engine's options.
    pub fn options(&self) -> Options {
        Options {
            model: self.model.as_deref().unwrap_or(bundled::BUNDLED[0].name).to_string(),
            rqvae: self.rqvae.clone(),
            state: self.weights,
            precision: Precision::default(),
        }
    }

    /// The engine's options for a command that needs only an RQ-VAE.
    ///
    /// # Errors
    /// Both `--model` and `--rqvae` are given.
    pub fn rqvae_options(&self) -> Result<Options> {
        match (&self.model, &self.rqvae) {
            (Some(_), Some(_)) => Err(Error::usage(
                "--rqvae names the model here, and --model would be ignored: give only one of them",
            )),
            _ => Ok(self.options()),
        }
    }

    /// Loads the RQ-VAE, for a command that needs nothing else: unless one is given, that of the picture with
    /// `recipe`.
    ///
    /// # Errors
    /// Both `--model` and `--rqvae` are given; the device or the model cannot be opened.
    pub fn stage1(&self, recipe: Option<&Recipe>, console: &Console) -> Result<Stage1> {
        let maker = recipe.map(|recipe| recipe.rqvae.name.as_str()).filter(|_| self.rqvae.is_none());
        let options = self.model_or(maker, self.rqvae_options()?)?;
        Stage1::load(&options, &self.device.open()?, &mut console.task("loading"))
    }

    /// `options` with the model `found` in a recipe, unless `--model` is given.
    pub fn model_or(&self, found: Option<&str>, options: Options) -> Result<Options> {
        match (&self.model, found) {
            (None, Some(found)) => Ok(Options { model: present(found)?.to_string(), ..options }),
            _ => Ok(options),
        }
    }
}

impl TransformerArguments {
    /// The engine's options.
    pub fn options(&self) -> Options {
        Options { precision: self.precision().unwrap_or_default(), ..self.model.options() }
    }

    /// Loads the transformer and its RQ-VAE: unless `--model` is given, those of the picture with `recipe`.
    ///
    /// # Errors
    /// The device or a model cannot be opened.
    pub fn stage2(&self, recipe: Option<&Recipe>, console: &Console) -> Result<Stage2> {
        let options = match recipe {
            Some(recipe) if self.model.model.is_none() => self.made_by(recipe)?,
            _ => self.options(),
        };
        Stage2::load(&options, &self.model.device.open()?, &mut console.task("loading"))
    }

    /// The engine's options for the models that made a picture. If it was not sampled, only a bundled RQ-VAE tells
    /// its transformer.
    fn made_by(&self, recipe: &Recipe) -> Result<Options> {
        let mut options = self.options();
        match &recipe.sampling {
            Some(sampling) => {
                options.model = present(&sampling.rqtransformer.name)?.into();
                if options.rqvae.is_none() {
                    options.rqvae = Some(present(&recipe.rqvae.name)?.into());
                }
            }
            None if bundled::find(&recipe.rqvae.name).is_some() => options.model = recipe.rqvae.name.clone(),
            None => (),
        }
        Ok(options)
    }

    /// The requested precision.
    pub fn precision(&self) -> Option<Precision> {
        if self.half { Some(Precision::F16) } else { self.precision }
    }
}

/// Locates the model that a recipe calls `name`. If training has continued and replaced that checkpoint, this
/// is the run's folder. A recipe may come from anywhere, so only bundled models, files and folders are
/// accepted.
pub fn present(name: &str) -> Result<&str> {
    let is_model = |path: &Path| path.is_file() || path.is_dir();
    if bundled::find(name).is_some() || is_model(Path::new(name)) {
        return Ok(name);
    }
    let run = run_of(Path::new(name)).filter(|run| run.join("config.yaml").is_file()).and_then(Path::to_str);
    run.ok_or_else(|| {
        Error::usage(format!(
            "the picture was made with {name}, which was not found; give the model with --model"
        ))
    })
}

impl DeviceArguments {
    /// Opens the requested device.
    pub fn open(&self) -> Result<Device> {
        start(self.device, self.kernels()?)
    }

    /// Whether to use the hand-written kernels on a GPU.
    ///
    /// # Errors
    /// `--gpu-kernels` is given for the CPU.
    pub fn kernels(&self) -> Result<GpuKernels> {
        match (self.device, self.gpu_kernels) {
            (DeviceChoice::Cpu, Some(_)) => {
                Err(Error::usage("--gpu-kernels does nothing on the CPU: leave it out, or give --device gpu"))
            }
            (_, kernels) => Ok(kernels.unwrap_or_default()),
        }
    }
}

/// How codes are sampled. Each of the four filters takes one value, or one per depth, separated by commas.
#[derive(Args, Clone)]
pub struct SamplingArguments {
    /// Number of pictures to sample. [default: 1; for `eval fid` and `eval samples`, the size of the
    /// reference set]
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub number: Option<u32>,
    /// Random seed: the same seed gives the same pictures.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Sampling temperature: below 1 favours likely codes, 0 always takes the most likely. [default: the
    /// model's]
    #[arg(long, value_delimiter = ',', value_name = "T[,T..]")]
    pub temperature: Option<Vec<f32>>,
    /// Sample from the K most likely codes; 0: from all. [default: the model's]
    #[arg(long, value_delimiter = ',', value_name = "K[,K..]")]
    pub top_k: Option<Vec<usize>>,
    /// Sample from the most likely codes whose probabilities add up to P; 0 or 1: from all. (In a
    /// configuration file, 0 keeps only the most likely code, as in the published code.) [default: the
    /// model's]
    #[arg(long, value_delimiter = ',', value_name = "P[,P..]")]
    pub top_p: Option<Vec<f32>>,
    /// Classifier-free guidance scale: above 1 follows the class or caption more closely, with less variety;
    /// 1: off; 0: ignores it. Only for models trained with `arch.cond_dropout`. [default: the model's]
    #[arg(long, value_delimiter = ',', value_name = "S[,S..]")]
    pub guidance: Option<Vec<f32>>,
}

impl SamplingArguments {
    /// Number of pictures to save.
    pub fn count(&self) -> u32 {
        self.number.unwrap_or(1)
    }

    /// One filter per depth: from the options, else from `recipe`, else from the model's configuration.
    pub fn filters(&self, config: &RqTransformerConfig, recipe: Option<&[Filter]>) -> Result<Vec<Filter>> {
        let defaults = recipe.unwrap_or(&config.sampling.filters);
        fn asked<T: Clone>(asked: &Option<Vec<T>>, defaults: &[Filter], of: fn(&Filter) -> T) -> Vec<T> {
            asked.clone().unwrap_or_else(|| defaults.iter().map(of).collect())
        }
        let sampling = Sampling {
            temperature: asked(&self.temperature, defaults, |filter| filter.temperature),
            top_k: asked(&self.top_k, defaults, |filter| filter.top_k),
            top_p: asked(&self.top_p, defaults, |filter| filter.top_p),
            guidance: asked(&self.guidance, defaults, |filter| filter.guidance),
        };
        let filters = sampling.filters(config.depth())?;
        if self.temperature.iter().flatten().any(|&t| t == 0.0) {
            tracing::warn!(
                "temperature 0 is greedy: the most likely code is always taken, whatever the seed"
            );
        }
        if self.top_p.iter().flatten().any(|&p| p == 0.0) {
            tracing::warn!(
                "top-p 0 is off: all codes can be sampled (in the published code it keeps only the most likely; use --temperature 0 for that)"
            );
        }
        Ok(filters)
    }
}

/// The condition of pictures: a class or a caption.
#[derive(Args, Clone)]
pub struct ConditionArguments {
    /// Class to condition on, by name or number.
    #[arg(long, value_name = "NAME|ID", conflicts_with = "prompt")]
    pub class: Option<String>,
    /// Caption that describes the picture.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
}

impl ConditionArguments {
    /// The requested condition.
    pub fn condition(&self) -> Condition {
        match (&self.class, &self.prompt) {
            (Some(class), _) => Condition::Class(class.clone()),
            (None, Some(prompt)) => {
                if prompt.trim().is_empty() {
                    tracing::warn!("--prompt is empty");
                }
                Condition::Prompt(prompt.clone())
            }
            (None, None) => Condition::Unconditional,
        }
    }

    /// The requested condition, or else `found`, the input picture's condition.
    pub fn condition_or(&self, found: Option<Condition>) -> Condition {
        match (self.condition(), found) {
            (Condition::Unconditional, Some(found)) => found,
            (asked, _) => asked,
        }
    }
}
