//! The record of a run: what determines it besides its configuration.

use serde::{Deserialize, Serialize};

/// What determines a run besides its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of Residua that wrote this.
    pub residua: String,
    /// Seed of the initial weights, the order of the data and the augmentation.
    pub seed: u32,
    /// True if the held-out pictures are learned too.
    pub all: bool,
    /// True if pictures may lack the class or caption that the model is conditioned on.
    pub unlabelled: bool,
    /// Epochs after which the augmentation repeats; `None`: never.
    pub variations: Option<u32>,
    /// Total number of steps; `None`: determined by the configuration's epochs.
    pub steps: Option<u64>,
    /// Number of pictures in the folder.
    pub pictures: usize,
    /// The [`fingerprint`](super::data::fingerprint()) of that folder.
    pub data: String,
    /// SHA-256 of the tensors of the RQ-VAE whose codes the transformer learns.
    pub stage1: Option<String>,
    /// SHA-256 of each file of LPIPS weights, sorted; `None` if the run was started by a version that did not
    /// record them.
    #[serde(default)]
    pub lpips: Option<Vec<String>>,
}
