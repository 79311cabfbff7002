//! The messages between a window and models that share no memory, such as a browser page and its worker:
//! commands and answers as bytes.

use serde::{Deserialize, Serialize};

use super::JobId;
use super::command::Command;
use super::event::Message;
use residua_core::trust::Checked;

/// A message to the models' side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Runs this command as this job.
    Do(JobId, Command),
    /// Stops this job at its next step.
    Stop(JobId),
}

/// A message from the models' side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The worker has started.
    Ready(Ready),
    /// An event of a job.
    Message(Message),
    /// The worker's memory, in bytes.
    Memory(u64),
    /// GPU kernels that were checked.
    Checked(Vec<Checked>),
    /// A warning for the log.
    Warning(String),
}

/// Where the models run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// `cpu` or `gpu`.
    pub device: String,
    /// The graphics adapter and its limits, or why the models run on the CPU.
    pub said: String,
    /// True if a GPU was requested but unavailable.
    pub lacking: bool,
}

/// Serializes orders and answers.
pub mod wire {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use residua_core::error::{Error, Result};

    /// Serializes `value`.
    ///
    /// # Errors
    /// Never fails for [`super::Order`] and [`super::Answer`].
    pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
        rmp_serde::to_vec_named(value).map_err(Error::invalid)
    }

    /// Deserializes `bytes`.
    ///
    /// # Errors
    /// The bytes come from another version of the program.
    pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("page and worker have different versions ({error}): reload the page"))
        })
    }
}
