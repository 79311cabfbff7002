//! The models' answers.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::JobId;
use crate::explanation::{Explanation, Suggestion};
use crate::{Condition, ModelId, Recipe};
use residua_core::codes::CodeStack;
use residua_core::config::{RqTransformerConfig, RqVaeConfig};
use residua_io::image_io::Picture;
use residua_metrics::Usage;

/// An event in the life of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The worker started it.
    Begun,
    /// Units done and units in total.
    Progress(usize, usize),
    /// A result; a job may have several.
    Output(Output),
    /// It finished, after this many milliseconds.
    Done(f64),
    /// It failed, for this reason.
    Failed(String),
    /// It was stopped.
    Cancelled,
}

impl Event {
    /// Whether this is the job's last event.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_) | Self::Cancelled)
    }
}

/// An event and its job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The job.
    pub job: JobId,
    /// The event.
    pub event: Event,
}

/// A result, cheap to clone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Output {
    /// Models were loaded.
    Loaded(Arc<Loaded>),
    /// The files of a model were fetched.
    Fetched,
    /// A picture was encoded.
    Encoded(Arc<Encoded>),
    /// A stack was decoded.
    Seen(Arc<Seen>),
    /// The picture's layers.
    Layers(Arc<Layers>),
    /// The picture's layers were left out, because other commands waited. Ask again once the models are idle.
    Postponed,
    /// Codes near a code.
    Neighbours(Arc<Neighbours>),
    /// Pictures of single codes.
    Patches(Arc<CodePatches>),
    /// Preview of an alternative code.
    Choices(Choices),
    /// The transformer's distribution at a position.
    Explained {
        /// Row, column, depth.
        place: [usize; 3],
        /// The distribution.
        explanation: Arc<Explanation>,
    },
    /// How likely the transformer finds each code.
    Surprise(Arc<Surprise>),
    /// The tokens of a caption.
    Tokens(CaptionTokens),
    /// The unfinished pictures, decoded from the codes sampled so far.
    Preview(Vec<Arc<Picture>>),
    /// Finished pictures.
    Sampled(Vec<Made>),
    /// The codes that pictures use.
    Usage(Arc<Usage>),
    /// A file was opened.
    Opened(Opened),
    /// The cells that a mask selects, row-major.
    Masked(Vec<bool>),
    /// A folder was found; its pictures follow.
    Folder,
    /// A picture of the folder.
    Listed(Listed),
    /// Two pictures were compared.
    Compared {
        /// The pictures, scaled down for display if they are large.
        pictures: [Arc<Picture>; 2],
        /// PSNR between them in decibels, at full size. None if their sizes differ.
        psnr: Option<f64>,
    },
    /// Whether this folder has a training run.
    Run(PathBuf, bool),
    /// A file was written.
    Saved(PathBuf),
    /// Something that the user should know about a file.
    Warned(String),
}

/// An opened file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// Its path, or a name if it has none.
    pub path: PathBuf,
    /// What it holds.
    pub content: Content,
    /// How it was made, if known.
    pub recipe: Option<Arc<Recipe>>,
}

/// What an opened file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    /// A picture without codes, or with codes that no longer match it.
    Picture(Arc<Picture>),
    /// Codes.
    Codes(Arc<CodeStack>),
}

/// A picture of a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its path.
    pub path: PathBuf,
    /// The picture; a large one is cropped to its centre and scaled down.
    pub picture: Arc<Picture>,
    /// The codes that it carries, if they match it.
    pub stack: Option<Arc<CodeStack>>,
    /// How it was made, if known.
    pub recipe: Option<Arc<Recipe>>,
}

/// The loaded models.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Loaded {
    /// The bundled model's name, or a path.
    pub name: String,
    /// The path or name given for stage 1, if any.
    pub rqvae_place: Option<String>,
    /// Stage 1's configuration.
    pub rqvae: RqVaeConfig,
    /// Codebook size at each depth.
    pub codebook_sizes: Vec<usize>,
    /// Stage 1's id in recipes.
    pub rqvae_id: ModelId,
    /// Number of parameters of stage 1.
    pub stage1_parameters: usize,
    /// Stage 2, if it was loaded.
    pub stage2: Option<Stage2Facts>,
    /// Size of the weights on the device, in bytes.
    pub bytes: u64,
    /// The licence named in the checkpoint, or the bundled model's.
    pub licence: Option<String>,
    /// `cpu` or `gpu`.
    pub device: String,
}

/// Facts about the loaded stage 2.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage2Facts {
    /// Its configuration.
    #[serde(with = "whole")]
    pub config: RqTransformerConfig,
    /// Number of parameters.
    pub parameters: usize,
}

/// Serializes a transformer's configuration with the fields that come from other sections of its file.
mod whole {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use residua_core::config::RqTransformerConfig;

    pub fn serialize<S: Serializer>(config: &RqTransformerConfig, serializer: S) -> Result<S::Ok, S::Error> {
        let RqTransformerConfig { dataset, sampling, stage1, classes, .. } = config;
        (config, dataset, sampling, stage1, classes).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RqTransformerConfig, D::Error> {
        let (mut config, dataset, sampling, stage1, classes): (RqTransformerConfig, _, _, _, _) =
            Deserialize::deserialize(deserializer)?;
        config.dataset = dataset;
        config.sampling = sampling;
        config.stage1 = stage1;
        config.classes = classes;
        Ok(config)
    }
}

/// A picture and its codes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Encoded {
    /// The picture as the model's input.
    pub original: Arc<Picture>,
    /// Its nearest codes.
    pub stack: Arc<CodeStack>,
}

/// A decoded stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// Number of codes of each cell that its picture uses, row-major.
    pub limits: Arc<Vec<usize>>,
    /// Its picture.
    pub picture: Arc<Picture>,
    /// PSNR in decibels and SSIM against the original, if there is one.
    pub quality: Option<(f64, f64)>,
    /// Size of the codes, in bits per pixel.
    pub bits_per_pixel: f64,
    /// The same picture on the graphics device, if the models run there in the same process.
    #[serde(skip)]
    pub on_device: Option<SeenOnDevice>,
}

/// An image in the models' device memory; only whoever draws there knows its type.
pub type OnDevice = Arc<dyn Any + Send + Sync>;

/// A picture and its original in the models' device memory.
#[derive(Clone, Debug)]
pub struct SeenOnDevice {
    /// The picture.
    pub picture: OnDevice,
    /// The original, if there is one.
    pub original: Option<OnDevice>,
}

/// A stack's picture, code by code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layers {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// For each depth `d`, the picture of the codes at depths `0..=d`.
    pub add: Vec<Arc<Picture>>,
    /// For each depth `d`, the picture of the codes at `d` alone.
    pub select: Vec<Arc<Picture>>,
    /// Norm of the residual after the codes `0..=d`, row-major in (row, column, depth): of the original's
    /// latent, or without an original, of the sum of all codes.
    pub residual_norms: Vec<f32>,
    /// Whether the residuals are of the original's latent.
    pub of_original: bool,
    /// For each depth, bits per pixel and PSNR against the original, or against the whole stack's picture.
    pub rate_distortion: Vec<(f64, f64)>,
}

/// Codes near a code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neighbours {
    /// Depth of the codebook.
    pub depth: usize,
    /// The code.
    pub code: u32,
    /// The nearest others with their distances, nearest first.
    pub nearest: Vec<(u32, f32)>,
}

/// Codes decoded alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodePatches {
    /// Depth of the codebook.
    pub depth: usize,
    /// Each code with its picture, one cell in size.
    pub patches: Vec<(u32, Arc<Picture>)>,
}

/// Preview of an alternative code at one position of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choices {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// Number of codes that each cell uses, row-major.
    pub limits: Arc<Vec<usize>>,
    /// Row, column, depth.
    pub place: [usize; 3],
    /// The code.
    pub code: u32,
    /// Its effect.
    pub choice: Arc<Choice>,
}

/// The picture with an alternative code, and how it differs from the current picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The picture around the cell.
    pub picture: Arc<Picture>,
    /// The change in the same area, amplified; grey is no change.
    pub change: Arc<Picture>,
    /// Amplification of `change`.
    pub amplified: f32,
    /// Root mean square change over the whole picture, in 8-bit levels.
    pub effect: f32,
}

/// The transformer's uncertainty at each position of a stack, row-major in (row, column, depth).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surprise {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// The condition used.
    pub condition: Condition,
    /// Entropy of the distribution, in bits.
    pub entropy: Vec<f32>,
    /// The stack's own codes with their probabilities.
    pub chosen: Vec<Suggestion>,
}

impl Surprise {
    /// The information of each code, in bits. A probability that underflows to zero counts as
    /// [`f32::MIN_POSITIVE`].
    pub fn bits(&self) -> impl Iterator<Item = f64> {
        self.chosen.iter().map(|chosen| -f64::from(chosen.probability.max(f32::MIN_POSITIVE)).log2())
    }

    /// The total information of each cell's codes, in bits, row-major.
    pub fn bits_per_cell(&self) -> Vec<f32> {
        let bits: Vec<f64> = self.bits().collect();
        bits.chunks_exact(self.stack.depth()).map(|codes| codes.iter().sum::<f64>() as f32).collect()
    }

    /// The cell whose codes have the most information, and how many bits.
    pub fn worst(&self) -> Option<(usize, f32)> {
        self.bits_per_cell().into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// How the model's tokenizer reads a caption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaptionTokens {
    /// The caption.
    pub caption: String,
    /// Number of tokens.
    pub tokens: usize,
    /// Words that the tokenizer does not know.
    pub unknown: Vec<String>,
}

/// A sampled picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Made {
    /// The picture.
    pub picture: Arc<Picture>,
    /// Its codes.
    pub stack: Arc<CodeStack>,
    /// How it was made.
    pub recipe: Arc<Recipe>,
}
