//! What the models answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::JobId;
use crate::codes::CodeStack;
use crate::engine::explanation::{Explanation, Suggestion};
use crate::engine::{Condition, ModelId, Recipe};
use crate::image_io::Picture;
#[cfg(feature = "models")]
use crate::kernels::present::DeviceImage;
use crate::metrics::Usage;
use crate::model::{RqTransformerConfig, RqVaeConfig};

/// One step of a job's life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The worker has taken it up.
    Begun,
    /// So many of so many units are done.
    Progress(usize, usize),
    /// A result; a job may have several.
    Output(Output),
    /// It is done, in so many milliseconds.
    Done(f64),
    /// It failed, for this reason.
    Failed(String),
    /// It was stopped.
    Cancelled,
}

impl Event {
    /// Whether nothing more comes of the job.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_) | Self::Cancelled)
    }
}

/// An event and the job that it is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The job.
    pub job: JobId,
    /// The event.
    pub event: Event,
}

/// A result. All are cheap to clone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Output {
    /// Models are loaded.
    Loaded(Arc<Loaded>),
    /// A picture became codes.
    Encoded(Arc<Encoded>),
    /// A stack became a picture.
    Seen(Arc<Seen>),
    /// The picture's layers.
    Layers(Arc<Layers>),
    /// Codes near a code.
    Neighbours(Arc<Neighbours>),
    /// Pictures of codes.
    Patches(Arc<CodePatches>),
    /// What a code would do at a place.
    Choices(Choices),
    /// The distribution at `place` of a stack.
    Explained {
        /// Row, column, depth.
        place: [usize; 3],
        /// The distribution.
        explanation: Arc<Explanation>,
    },
    /// How sure the transformer was.
    Surprise(Arc<Surprise>),
    /// The tokens of a caption.
    Tokens(CaptionTokens),
    /// The pictures under way, by what is done of them.
    Preview(Vec<Arc<Picture>>),
    /// Finished pictures.
    Sampled(Vec<Made>),
    /// An animated PNG file.
    Animated(Arc<Vec<u8>>),
    /// Which codes pictures use.
    Usage(Arc<Usage>),
}

/// What was loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Loaded {
    /// The bundled model's name, or a path.
    pub name: String,
    /// Where stage 1 was said to lie, if that was said.
    pub rqvae_place: Option<String>,
    /// Stage 1's configuration.
    pub rqvae: RqVaeConfig,
    /// Words in the codebook of each depth.
    pub codebook_sizes: Vec<usize>,
    /// What recipes call stage 1.
    pub rqvae_id: ModelId,
    /// Parameters of stage 1.
    pub stage1_parameters: usize,
    /// Stage 2, if it was loaded.
    pub stage2: Option<Stage2Facts>,
    /// Bytes that the weights take on the device.
    pub bytes: u64,
    /// The licence that the checkpoint names, or that it is bundled under.
    pub licence: Option<String>,
    /// `cpu` or `gpu`.
    pub device: String,
}

/// What was loaded of stage 2.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage2Facts {
    /// Its configuration.
    #[serde(with = "whole")]
    pub config: RqTransformerConfig,
    /// Its parameters.
    pub parameters: usize,
}

/// A transformer's configuration with what other sections of the file say of it.
mod whole {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::RqTransformerConfig;

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
    /// The picture as the model saw it.
    pub original: Arc<Picture>,
    /// Its nearest codes.
    pub stack: Arc<CodeStack>,
}

/// What a stack looks like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// Its picture.
    pub picture: Arc<Picture>,
    /// Against the original, if there is one: PSNR in decibels, and SSIM.
    pub quality: Option<(f64, f64)>,
    /// Size of the codes.
    pub bits_per_pixel: f64,
    /// The same on the graphics device, if the models run there and in the same process.
    #[serde(skip)]
    pub on_device: Option<SeenOnDevice>,
}

/// Without models there is none.
#[cfg(not(feature = "models"))]
#[derive(Debug)]
pub enum DeviceImage {}

/// A picture and its original where the models left them.
#[derive(Clone, Debug)]
pub struct SeenOnDevice {
    /// The picture.
    pub picture: Arc<DeviceImage>,
    /// The original, if there is one.
    pub original: Option<Arc<DeviceImage>>,
}

/// A stack's picture, code by code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layers {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// Pictures of the codes `0..=d`.
    pub add: Vec<Arc<Picture>>,
    /// Pictures of the codes at `d` alone.
    pub select: Vec<Arc<Picture>>,
    /// Norm of what the codes `0..=d` leave over, row-major in (row, column, depth): of the original's latent, or where there
    /// is no original, of the sum of all codes.
    pub residual_norms: Vec<f32>,
    /// Whether the norms are of the original's latent.
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

/// What codes look like alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodePatches {
    /// Depth of the codebook.
    pub depth: usize,
    /// Each code with its patch, the size of a cell.
    pub patches: Vec<(u32, Arc<Picture>)>,
}

/// What a code would do at a place of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choices {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// How many codes of each cell count.
    pub limits: Arc<Vec<usize>>,
    /// Row, column, depth.
    pub place: [usize; 3],
    /// The code.
    pub code: u32,
    /// What it would do.
    pub choice: Arc<Choice>,
}

/// The picture with another code in place, and how that differs from what it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The picture around the cell.
    pub picture: Arc<Picture>,
    /// The change there, around grey, amplified.
    pub change: Arc<Picture>,
    /// How much it is amplified.
    pub amplified: f32,
    /// Root mean square of the change of the whole picture, of 255.
    pub effect: f32,
}

/// How sure the transformer is at each place of a stack, row-major in (row, column, depth).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surprise {
    /// The stack.
    pub stack: Arc<CodeStack>,
    /// What the picture was said to be made from.
    pub condition: Condition,
    /// Entropy of the distribution, in bits.
    pub entropy: Vec<f32>,
    /// Probability of the code that is there.
    pub chosen: Vec<Suggestion>,
}

impl Surprise {
    /// The information of each code, in bits. A probability that underflows to zero counts as the least positive number.
    pub fn bits(&self) -> impl Iterator<Item = f64> {
        self.chosen.iter().map(|chosen| -f64::from(chosen.probability.max(f32::MIN_POSITIVE)).log2())
    }

    /// The information of each cell's codes together, in bits, row-major.
    pub fn bits_per_cell(&self) -> Vec<f32> {
        let bits: Vec<f64> = self.bits().collect();
        bits.chunks_exact(self.stack.depth()).map(|codes| codes.iter().sum::<f64>() as f32).collect()
    }
}

/// A caption, as the model's tokenizer reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaptionTokens {
    /// The caption.
    pub caption: String,
    /// How many tokens it has.
    pub tokens: usize,
    /// Its words that the tokenizer does not know.
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
