//! How a loaded model makes images, as their files tell.

use super::{Model, Options, Recipe, Result, Schedule};
use residua_protocol::SamplePlan;
use residua_protocol::recipe::SamplingRecipe;

impl Model {
    /// The recipe of image number `image` of a plan that was drafted and revised by `schedule`.
    ///
    /// # Errors
    /// The model has no transformer, or its weights cannot be read.
    pub(crate) fn recipe(&self, plan: &SamplePlan, schedule: Option<Schedule>, image: u32) -> Result<Recipe> {
        let stage2 = self.stage2()?;
        let &Options { precision, state: weights, .. } = self.options();
        let made_by = match (&plan.forced, &schedule) {
            (Some(_), Some(Schedule { draft: 0, .. })) => "revise",
            (Some(_), _) => "complete",
            (None, _) => "sample",
        };
        let sampling = SamplingRecipe {
            rqtransformer: stage2.id()?,
            condition: plan.condition.clone(),
            seed: plan.seed,
            image,
            count: 1,
            filters: plan.filters.clone(),
            schedule,
            device: self.device().into(),
            precision,
            weights,
        };
        Ok(Recipe::new(made_by, stage2.stage1.id()?, Some(sampling)))
    }
}
