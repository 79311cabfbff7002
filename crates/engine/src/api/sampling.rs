//! What to sample.

use super::{Coded, Condition, Filter, Model, Result, Stage2, Task};
use crate::reconstruct::decode;
use crate::sample::{Sampled, request, sample};
use residua_core::sampling::Forced;
use residua_protocol::SamplePlan;

/// Images to sample; see [`Model::sample`] and [`Model::complete`].
#[derive(Debug)]
#[must_use = "nothing is sampled before `run`"]
pub struct Sampling<'a> {
    model: &'a Model,
    plan: SamplePlan,
}

impl<'a> Sampling<'a> {
    pub(super) fn new(model: &'a Model, forced: Option<Forced>) -> Self {
        // A model that cannot sample says so when it runs.
        let filters = model.stage2().map(|stage2| stage2.model.config.sampling.filters.clone());
        let plan = SamplePlan {
            condition: Condition::Unconditional,
            seed: 0,
            first: 0,
            count: 1,
            filters: filters.unwrap_or_default(),
            revise: None,
            forced,
            preview: false,
        };
        Self { model, plan }
    }

    /// A class to show, by name or number.
    pub fn class(self, class: impl ToString) -> Self {
        self.condition(Condition::Class(class.to_string()))
    }

    /// A caption that describes the images.
    pub fn prompt(self, caption: impl Into<String>) -> Self {
        self.condition(Condition::Prompt(caption.into()))
    }

    /// A class, a caption, or nothing, which is the default.
    pub fn condition(mut self, condition: Condition) -> Self {
        self.plan.condition = condition;
        self
    }

    /// Number of images, at most 10,000. Default: 1.
    pub fn count(mut self, count: u32) -> Self {
        self.plan.count = count;
        self
    }

    /// Random seed: the same seed gives the same images. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// Number of the first image within the seed. Default: 0.
    pub fn first(mut self, first: u32) -> Self {
        self.plan.first = first;
        self
    }

    /// Below 1, likely codes are favoured; 0 always takes the most likely. Default for this and the next three: the model's.
    pub fn temperature(self, temperature: f32) -> Self {
        self.adjust(|_, filter| filter.temperature = temperature)
    }

    /// Samples from the `k` most likely codes; 0: from all.
    pub fn top_k(self, k: usize) -> Self {
        self.adjust(|_, filter| filter.top_k = k)
    }

    /// Samples from the most likely codes whose probabilities add up to `p`; 0 or 1: from all.
    pub fn top_p(self, p: f32) -> Self {
        self.adjust(|_, filter| filter.top_p = p)
    }

    /// Above 1, images follow the condition more closely. Only for models that were also trained without their condition.
    pub fn guidance(self, scale: f32) -> Self {
        self.adjust(|_, filter| filter.guidance = scale)
    }

    /// Calls `change` with each depth and its filter.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model};
    /// let model = Model::load("characters-128")?;
    /// let careful_at_depth_0 = model.sample().prompt("a red cat").adjust(|depth, filter| {
    ///     filter.top_p = if depth == 0 { 0.8 } else { 0.95 };
    /// });
    /// assert_eq!(careful_at_depth_0.run()?.len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn adjust(mut self, mut change: impl FnMut(usize, &mut Filter)) -> Self {
        self.plan.filters.iter_mut().enumerate().for_each(|(depth, filter)| change(depth, filter));
        self
    }

    /// The images with their codes.
    ///
    /// # Errors
    /// The model has no transformer, the settings do not fit it, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn run(self) -> Result<Vec<Coded>> {
        pollster::block_on(self.run_with(&mut Task::unwatched()))
    }

    /// Like `run`, async. `task` counts steps over all images.
    ///
    /// # Errors
    /// Those of `run`, or the task was stopped.
    pub async fn run_with(self, task: &mut Task<'_>) -> Result<Vec<Coded>> {
        let Stage2 { model, stage1, .. } = self.model.stage2()?;
        let request = request(&self.plan, self.plan.count, &model.config)?;
        let schedule = model.config.schedule(&request.filters, None, request.forced.as_ref());
        let mut made = Vec::new();
        let keep = async |sampled| {
            let Sampled::Whole(stacks) = sampled else { return Ok(()) };
            let pictures = decode(&stage1.model, &stacks, &mut Task::unwatched()).await?;
            made.extend(pictures.iter().zip(stacks).map(|(picture, codes)| Coded::new(picture, codes)));
            Ok(())
        };
        sample(model, &request, schedule.as_ref(), false, task, keep).await?;
        Ok(made)
    }
}
