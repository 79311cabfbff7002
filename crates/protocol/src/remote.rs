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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use residua_io::image_io::{Bytes, Picture};

    use super::wire::{from_bytes, to_bytes};
    use super::*;

    #[test]
    fn a_picture_from_a_file_takes_one_byte_per_value_and_others_keep_their_floats() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/imageio/square.png");
        let file = Picture::read(Path::new(path)).unwrap();
        let floats = |first: f32| {
            let mut data = file.data().to_vec();
            data[0] = first;
            Picture::new(file.width(), file.height(), data).unwrap()
        };
        let values = file.data().len();
        for (picture, size) in [(file.clone(), values), (floats(1.5), 4 * values), (floats(-0.0), 4 * values)]
        {
            let bytes = to_bytes(&picture).unwrap();
            assert!((size..size + 64).contains(&bytes.len()), "{} bytes", bytes.len());
            let bits =
                |picture: &Picture| picture.data().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&from_bytes(&bytes).unwrap()), bits(&picture));
        }
    }

    #[test]
    fn a_picture_that_was_cut_short_is_refused() {
        #[derive(Serialize)]
        struct Cut {
            width: usize,
            height: usize,
            data: Bytes,
        }
        for (length, is_whole) in [(3, true), (11, false), (12, true), (16, false)] {
            let bytes = to_bytes(&Cut { width: 1, height: 1, data: Bytes(vec![0; length]) }).unwrap();
            assert_eq!(from_bytes::<Picture>(&bytes).is_ok(), is_whole, "{length} bytes");
        }
    }
}
