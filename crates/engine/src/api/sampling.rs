//! What to sample.

use super::{Coded, Condition, Filter, Model, Result, Rounds, Schedule, Stage2, Task};
use crate::reconstruct::decode;
use crate::sample::{Sampled, request, sample};
use residua_core::config::{Architecture, RqTransformerConfig};
use residua_core::sampling::Forced;
use residua_protocol::SamplePlan;

/// Images to sample; see [`Model::sample`] and [`Model::complete`].
///
/// ```
/// # use residua_engine::api::{Condition, Error, Model, Rounds};
/// let model = Model::load("characters-128")?;
/// let cats = model.sample().prompt("a red cat").count(2).seed(1).first(3);
/// // The model's filters, with some changes, for the draft, then for the revisions.
/// let cats = cats.temperature(0.9).top_k(0).top_p(0.95).guidance(1.5);
/// let cats = cats.adjust(|depth, filter| filter.top_p -= 0.02 * depth as f32);
/// let cats = cats.adjust_revisions(|_, filter| filter.temperature = 0.7);
/// let cats = cats.draft(8).revise(Rounds { rounds: 1, parts: 2 }).run()?;
/// // Image 4 of the seed is the second of images 3 and 4.
/// assert_eq!(cats[1].recipe.as_ref().and_then(|recipe| Some(recipe.sampling.as_ref()?.image)), Some(4));
///
/// let any = model.sample().condition(Condition::Unconditional).draft(4).run()?;
/// assert_eq!(any.len(), 1);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is sampled before `run`"]
pub struct Sampling<'a> {
    model: &'a Model,
    plan: SamplePlan,
    /// Parts of the draft, unless they are as usual.
    draft: Option<u32>,
    /// The revisions, unless they are as usual.
    revise: Option<Rounds>,
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
        Self { model, plan, draft: None, revise: None }
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
    pub fn adjust(mut self, change: impl FnMut(usize, &mut Filter)) -> Self {
        each(&mut self.plan.filters, change);
        self
    }

    /// For a contextual model: drafts the cells in `parts` random parts, each given those before it; 0: only revises
    /// codes given to [`Model::complete`]. Default: 16, or proportionally fewer if only some cells are sampled.
    pub fn draft(mut self, parts: u32) -> Self {
        self.draft = Some(parts);
        self
    }

    /// For a contextual model: how often it revises its draft, and in how many parts. Default: twice, in two parts.
    pub fn revise(mut self, revise: Rounds) -> Self {
        self.revise = Some(revise);
        self
    }

    /// Like `adjust`, for the revisions of a contextual model. Their filters start as those of the draft so far, or as the
    /// model's own if the draft's are.
    pub fn adjust_revisions(mut self, change: impl FnMut(usize, &mut Filter)) -> Self {
        let usual = |stage2: &Stage2| stage2.model.config.sampling.of_revisions(&self.plan.filters);
        let usual = self.model.stage2().map(usual).unwrap_or_default();
        each(self.plan.revise.get_or_insert(usual), change);
        self
    }

    /// The images with their codes and recipes.
    ///
    /// # Errors
    /// The model has no transformer, the settings do not fit it, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn run(self) -> Result<Vec<Coded>> {
        pollster::block_on(self.run_with(&mut Task::unwatched()))
    }

    /// Like `run`, async. `task` counts steps over all images.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, Task};
    /// # pollster::block_on(async {
    /// let model = Model::load("characters-128")?;
    /// let mut steps = 0;
    /// let mut task = Task::new(Default::default(), |_, total| steps = total);
    /// model.sample().prompt("a red cat").draft(8).run_with(&mut task).await?;
    /// drop(task);
    /// assert_eq!(steps, 8 + 2 * 2, "the draft's parts, and those of two revisions");
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of `run`, or the task was stopped.
    pub async fn run_with(self, task: &mut Task<'_>) -> Result<Vec<Coded>> {
        let Stage2 { model, stage1, .. } = self.model.stage2()?;
        let request = request(&self.plan, self.plan.count, &model.config)?;
        let schedule = self.schedule(&model.config)?;
        let mut made = Vec::new();
        let keep = async |sampled| {
            let Sampled::Whole(stacks) = sampled else { return Ok(()) };
            let pictures = decode(&stage1.model, &stacks, &mut Task::unwatched()).await?;
            for (picture, codes) in pictures.iter().zip(stacks) {
                let image = self.plan.first + made.len() as u32;
                let recipe = self.model.recipe(&self.plan, schedule.clone(), image)?;
                made.push(Coded { image: picture.to_rgb8(), codes, recipe: Some(recipe) });
            }
            Ok(())
        };
        sample(model, &request, schedule.as_ref(), false, task, keep).await?;
        Ok(made)
    }

    /// How a contextual model drafts and revises; `None` for another model.
    fn schedule(&self, config: &RqTransformerConfig) -> Result<Option<Schedule>> {
        let SamplePlan { filters, revise, forced, .. } = &self.plan;
        if self.draft.is_some() || self.revise.is_some() || revise.is_some() {
            let hint = "an autoregressive model samples cell by cell, once";
            config.kind.must_be(Architecture::Contextual, "drafting and revising", hint)?;
        }
        let usual = config.schedule(filters, revise.as_deref(), forced.as_ref());
        Ok(usual.map(|usual| Schedule {
            draft: self.draft.unwrap_or(usual.draft),
            revise: self.revise.unwrap_or(usual.revise),
            ..usual
        }))
    }
}

/// Calls `change` with each depth and its filter.
fn each(filters: &mut [Filter], mut change: impl FnMut(usize, &mut Filter)) {
    filters.iter_mut().enumerate().for_each(|(depth, filter)| change(depth, filter));
}
