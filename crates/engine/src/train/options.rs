//! What the user asks of a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What to train, on which pictures, and for how long.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrainOptions {
    /// The configuration, with the published keys, `-` for standard input; a resumed run keeps its own.
    pub config: PathBuf,
    /// The folder of pictures.
    pub data: PathBuf,
    /// The folder of the run.
    pub out: PathBuf,
    /// The RQ-VAE whose codes a transformer learns; a resumed run keeps its own.
    pub rqvae: Option<String>,
    /// Weights of LPIPS, for an RQ-VAE: see [`Lpips::load`](residua_judges::Lpips::load). If empty, those
    /// named in the configuration.
    pub lpips: Vec<PathBuf>,
    /// The file of latents that a transformer learns from, created if missing; `None`: every step encodes its
    /// pictures.
    pub cache: Option<PathBuf>,
    /// Augmented variations of each picture in that file; `None`: as in the resumed run, or 8.
    pub variations: Option<u32>,
    /// A model of the same kind, whose weights a new run starts from.
    pub from: Option<String>,
    /// Tensors whose names start like this are initialized from scratch, even if that model has them.
    pub reinitialize: Vec<String>,
    /// Whether to resume the run in that folder.
    pub resume: bool,
    /// Total number of steps; `None`: the resumed run's, or the configuration's epochs.
    pub steps: Option<u64>,
    /// Steps between checkpoints; `None`: the configuration's.
    pub save_every: Option<u64>,
    /// Steps between sheets; `None`: an epoch.
    pub sheet_every: Option<u64>,
    /// Steps between measurements on held-out pictures; `None`: the configuration's.
    pub test_every: Option<u64>,
    /// Whether to train on the held-out pictures, too.
    pub all: bool,
    /// Whether pictures may lack the class or caption that the model takes.
    pub unlabelled: bool,
    /// Random seed of initial weights, picture order and augmentation; `None`: the resumed run's, or 0.
    pub seed: Option<u32>,
}
