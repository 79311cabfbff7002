//! What determines a run besides its configuration, as its folder keeps it.

use serde::{Deserialize, Serialize};

/// What determines a run besides its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of Residua that wrote this.
    pub residua: String,
    /// Determines first weights, order and variations.
    pub seed: u32,
    /// Whether the pictures that are held out are learned from, too.
    pub all: bool,
    /// Whether pictures may lack the class or caption that the model is given.
    pub unlabelled: bool,
    /// After how many epochs the variations repeat; `None`: never.
    pub variations: Option<u32>,
    /// Steps in all; `None`: the configuration's epochs.
    pub steps: Option<u64>,
    /// Pictures in the folder.
    pub pictures: usize,
    /// The [`fingerprint`](super::data::fingerprint) of that folder.
    pub data: String,
    /// SHA-256 of the RQ-VAE's file whose codes a transformer learns.
    pub stage1: Option<String>,
}
