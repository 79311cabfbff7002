//! Options that several subcommands share.

use std::path::Path;

use burn::tensor::Device;
use clap::{Args, ValueEnum};

use crate::checkpoint::{Precision, StateKind, bundled};
use crate::device::DeviceChoice;
use crate::engine::start::{GpuKernels, start};
use crate::engine::{Condition, Options};
use crate::error::{Error, Result};
use crate::generate::{Filter, Sampling};
use crate::image_io::run_of;
use crate::model::RqTransformerConfig;

/// Which model, and where it runs.
#[derive(Args, Clone)]
pub struct ModelArguments {
    /// A bundled model (emoji-64, emoji-64-captions), a folder, a .pt, a .safetensors or a .tar.gz. [default: the one that made
    /// the picture at hand, where its recipe is followed; else emoji-64]
    #[arg(long, short, value_name = "NAME|PATH")]
    pub model: Option<String>,
    /// The RQ-VAE, if it does not lie where the transformer's configuration says.
    #[arg(long, value_name = "PATH")]
    pub rqvae: Option<String>,
    /// Trained weights, or their moving average where the checkpoint has one that its trainer kept up.
    #[arg(long, value_enum, default_value = "auto")]
    pub weights: WeightsChoice,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// Which transformer, with its RQ-VAE, and where they run.
#[derive(Args, Clone)]
pub struct TransformerArguments {
    #[command(flatten)]
    pub model: ModelArguments,
    /// How the transformer's weights are kept: fewer bits take less memory and time. [default: as in the file]
    #[arg(long, value_enum, hide_default_value = true)]
    precision: Option<Precision>,
    /// The same as --precision f16.
    #[arg(long, conflicts_with = "precision")]
    half: bool,
}

/// Where to compute.
#[derive(Args, Clone, Default)]
pub struct DeviceArguments {
    /// auto: a hardware GPU if there is one, else the CPU.
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
    /// What computes on a GPU: the hand-written kernels, each checked first, or Burn's own operations. [default: on]
    #[arg(long, value_enum, value_name = "ON|OFF")]
    gpu_kernels: Option<GpuKernels>,
}

/// Which weights of a checkpoint to take.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum WeightsChoice {
    /// The trained weights; the moving average of a file that has nothing else.
    Auto,
    /// The trained weights.
    State,
    /// The moving average.
    Ema,
}

impl From<WeightsChoice> for StateKind {
    fn from(choice: WeightsChoice) -> Self {
        match choice {
            WeightsChoice::Auto => Self::Auto,
            WeightsChoice::State => Self::State,
            WeightsChoice::Ema => Self::Ema,
        }
    }
}

impl ModelArguments {
    /// For the engine.
    pub fn options(&self) -> Options {
        Options {
            model: self.model.as_deref().unwrap_or(bundled::BUNDLED[0].name).to_string(),
            rqvae: self.rqvae.clone(),
            state: self.weights.into(),
            precision: Precision::default(),
        }
    }

    /// For what needs an RQ-VAE alone.
    ///
    /// # Errors
    /// Two are named.
    pub fn rqvae_options(&self) -> Result<Options> {
        match (&self.model, &self.rqvae) {
            (Some(_), Some(_)) => Err(Error::usage(
                "--rqvae names the model here, and --model would not be used: give one of them",
            )),
            _ => Ok(self.options()),
        }
    }

    /// The model that was `found` in a recipe, unless another is asked for.
    pub fn model_or(&self, found: Option<&str>, options: Options) -> Result<Options> {
        match (&self.model, found) {
            (None, Some(found)) => Ok(Options { model: present(found)?.to_string(), ..options }),
            _ => Ok(options),
        }
    }
}

impl TransformerArguments {
    /// For the engine.
    pub fn options(&self) -> Options {
        Options { precision: self.precision().unwrap_or_default(), ..self.model.options() }
    }

    /// The precision asked for.
    pub fn precision(&self) -> Option<Precision> {
        if self.half { Some(Precision::F16) } else { self.precision }
    }
}

/// The model that a recipe calls `name`, if it is here: also where a run has gone on since, and kept a later checkpoint
/// only. A recipe may come from anywhere: nothing but files and folders is opened at its word.
pub fn present(name: &str) -> Result<&str> {
    let is_model = |path: &Path| path.is_file() || path.is_dir();
    if bundled::find(name).is_some() || is_model(Path::new(name)) {
        return Ok(name);
    }
    let run = run_of(Path::new(name)).filter(|run| run.join("config.yaml").is_file()).and_then(Path::to_str);
    run.ok_or_else(|| {
        Error::usage(format!(
            "the picture was made with {name}, which is not here; give the model with --model"
        ))
    })
}

impl DeviceArguments {
    /// The device asked for, ready for work.
    pub fn open(&self) -> Result<Device> {
        start(self.device, self.kernels()?)
    }

    /// What computes on a GPU.
    ///
    /// # Errors
    /// It was said for the CPU.
    pub fn kernels(&self) -> Result<GpuKernels> {
        match (self.device, self.gpu_kernels) {
            (DeviceChoice::Cpu, Some(_)) => {
                Err(Error::usage("--gpu-kernels does nothing on the CPU: leave it out, or give --device gpu"))
            }
            (_, kernels) => Ok(kernels.unwrap_or_default()),
        }
    }
}

/// How codes are drawn. Each of the four filters takes one value, or one for each depth, with commas.
#[derive(Args, Clone)]
pub struct SamplingArguments {
    /// How many pictures. [default: 1; for `eval fid`, as many as it compares with]
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub number: Option<u32>,
    /// The same seed gives the same pictures.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Below 1: more likely codes; 0: always the most likely. [default: the model's]
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "T[,T..]")]
    pub temperature: Option<Vec<f32>>,
    /// Draw from the K likeliest codes; 0: from all. [default: the model's]
    #[arg(long, value_delimiter = ',', value_name = "K[,K..]")]
    pub top_k: Option<Vec<usize>>,
    /// Draw from the likeliest codes that have this mass; 0 or 1: from all. (In a configuration, 0 keeps the likeliest code alone,
    /// as in the published code.) [default: the model's]
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "P[,P..]")]
    pub top_p: Option<Vec<f32>>,
    /// Above 1: closer to the class or caption than the model's own samples, and less varied; 0: without it. Only for models trained
    /// with `arch.cond_dropout`. [default: the model's]
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "S[,S..]")]
    pub guidance: Option<Vec<f32>>,
}

impl SamplingArguments {
    /// How many pictures are asked for, to be saved.
    pub fn count(&self) -> u32 {
        self.number.unwrap_or(1)
    }

    /// One filter a depth: what is asked for, else what the recipe at hand says, else what the model's configuration does.
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
                "top-p 0 is off: all codes can be drawn (the published code would take the likeliest; --temperature 0 does)"
            );
        }
        Ok(filters)
    }
}

/// What pictures are made from.
#[derive(Args, Clone)]
pub struct ConditionArguments {
    /// A class, by name or number.
    #[arg(long, value_name = "NAME|ID", conflicts_with = "prompt")]
    pub class: Option<String>,
    /// A caption.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
}

impl ConditionArguments {
    /// What was asked for.
    pub fn condition(&self) -> Condition {
        match (&self.class, &self.prompt) {
            (Some(class), _) => Condition::Class(class.clone()),
            (None, Some(prompt)) => Condition::Prompt(prompt.clone()),
            (None, None) => Condition::Unconditional,
        }
    }

    /// What was asked for, else what the picture at hand was made from.
    pub fn condition_or(&self, found: Option<Condition>) -> Condition {
        match (self.condition(), found) {
            (Condition::Unconditional, Some(found)) => found,
            (asked, _) => asked,
        }
    }
}
