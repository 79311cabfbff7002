//! The channel where the models' side shares no memory with the window: commands and answers as bytes. A browser page and
//! its worker.

use serde::{Deserialize, Serialize};

use super::JobId;
use super::command::Command;
use super::event::Message;
use crate::trust::Checked;

/// What the models' side is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Do this.
    Do(JobId, Command),
    /// End this at its next step.
    Stop(JobId),
}

/// What the models' side answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It has begun.
    Ready(Ready),
    /// A job went on.
    Message(Message),
    /// It has this many bytes of memory now.
    Memory(u64),
    /// Something that belongs in the log.
    Warning(String),
}

/// Where the models run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// `cpu` or `gpu`.
    pub device: String,
    /// The graphics adapter and its limits, or why it is the CPU.
    pub said: String,
    /// Whether a GPU was wanted in vain.
    pub lacking: bool,
    /// What the check of the GPU kernels has found.
    pub kernels: Vec<Checked>,
}

/// Orders and answers as bytes.
pub mod wire {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::error::{Error, Result};

    /// As bytes.
    ///
    /// # Errors
    /// None for what is sent here.
    pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
        rmp_serde::to_vec_named(value).map_err(Error::invalid)
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are of another version.
    pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("page and worker are of different versions ({error}): reload the page"))
        })
    }
}
