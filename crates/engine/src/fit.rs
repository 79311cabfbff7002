//! How well completions fit the kept codes after them, for models that only see the codes before.

use super::explain::surprise;
use residua_core::codes::CodeStack;
use residua_core::config::Architecture;
use residua_core::error::{Error, Result};
use residua_core::sampling::Forced;
use residua_core::task::Task;
use residua_model::RqTransformer;

/// The kept codes that come after the first sampled one, in the order of sampling.
pub struct Fit {
    places: Vec<usize>,
    condition: Vec<u32>,
}

impl Fit {
    /// For completions of `forced` made from `condition`.
    ///
    /// # Errors
    /// The model is contextual and needs no such choice, or no codes are kept after the sampled ones.
    pub fn new(model: &RqTransformer, forced: &Forced, condition: Vec<u32>) -> Result<Self> {
        model.config.kind.must_be(
            Architecture::Autoregressive,
            "choosing the best of several completions",
            "a contextual model sees all kept cells while it samples, so it needs no choice",
        )?;
        let first = forced.keep.iter().position(|kept| !kept).unwrap_or(forced.keep.len());
        let places: Vec<usize> = (first..forced.keep.len()).filter(|&place| forced.keep[place]).collect();
        if places.is_empty() {
            return Err(Error::usage(
                "best-of: expected kept cells after those that are sampled, found none to choose by: leave it out",
            ));
        }
        Ok(Self { places, condition })
    }

    /// Mean log2 probability of the kept codes in each of `stacks`.
    ///
    /// # Errors
    /// A stack does not fit the model.
    pub async fn scores(&self, model: &RqTransformer, stacks: &[CodeStack]) -> Result<Vec<f32>> {
        let mut scores = Vec::with_capacity(stacks.len());
        for stack in stacks {
            let found = surprise(model, stack, &self.condition, &mut Task::unwatched()).await?;
            let bits = |&place: &usize| found[place].1.probability.max(f32::MIN_POSITIVE).log2();
            scores.push(self.places.iter().map(bits).sum::<f32>() / self.places.len() as f32);
        }
        Ok(scores)
    }
}
