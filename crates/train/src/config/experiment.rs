//! Section `experiment`: batches, epochs, and what happens how often.

use serde::Deserialize;

use super::ranges::all_positive;
use residua_core::config::within;
use residua_core::error::{Error, Result};
use residua_core::text::counted;

/// Most images per batch.
const LARGEST_BATCH: usize = 1 << 16;

/// Most parts per step.
const MOST_PARTS: usize = 1 << 16;

/// Section `experiment`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Experiment {
    /// Images per batch.
    pub batch_size: usize,
    /// Images per step over all devices of the published trainer; here a step is taken in parts of
    /// `batch_size`.
    pub total_batch_size: Option<usize>,
    /// Gradient accumulation: parts per step, unless `total_batch_size` determines it.
    #[serde(alias = "accu_step")]
    pub accumulation: Option<usize>,
    /// Passes over the data.
    pub epochs: f64,
    /// Epochs between evaluations on held-out pictures; the first comes after one epoch.
    pub test_freq: f64,
    /// Epochs between checkpoints.
    pub save_ckpt_freq: f64,
    /// True if the published trainer uses mixed precision; here everything is f32.
    pub amp: bool,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            batch_size: 32,
            total_batch_size: None,
            accumulation: None,
            epochs: 10.0,
            test_freq: 10.0,
            save_ckpt_freq: 1.0,
            amp: false,
        }
    }
}

impl Experiment {
    /// Parts per step, of `batch_size` images each.
    pub fn parts(&self) -> usize {
        match self.total_batch_size {
            Some(total) => total / self.batch_size,
            None => self.accumulation.unwrap_or(1),
        }
    }

    /// Refuses invalid values.
    pub(super) fn check(&self) -> Result<()> {
        all_positive(&[
            ("experiment.epochs", self.epochs),
            ("experiment.test_freq", self.test_freq),
            ("experiment.save_ckpt_freq", self.save_ckpt_freq),
        ])?;
        within("experiment.batch_size", self.batch_size, LARGEST_BATCH)?;
        within("experiment.accumulation", self.accumulation.unwrap_or(1), MOST_PARTS)?;
        self.check_parts()?;
        within("experiment.total_batch_size / batch_size", self.parts(), MOST_PARTS)
    }

    /// Refuses a total that is not a multiple of the batch size, or contradicts `accumulation`.
    fn check_parts(&self) -> Result<()> {
        let (Some(total), batch) = (self.total_batch_size, self.batch_size) else { return Ok(()) };
        if total == 0 || !total.is_multiple_of(batch) {
            return Err(Error::invalid(format!(
                "experiment.total_batch_size: expected a multiple of batch_size {batch}, found {total}"
            )));
        }
        match self.accumulation {
            Some(parts) if parts != self.parts() => Err(Error::invalid(format!(
                "experiment.total_batch_size: expected {} for {} of {batch}, found {total}: remove one of \
                 the two",
                parts * batch,
                counted(parts, "part")
            ))),
            _ => Ok(()),
        }
    }
}
