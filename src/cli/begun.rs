//! The starting point of `complete` and `revise`: the models, a picture's codes, and how it was sampled.

use std::path::Path;

use super::input::{Source, bytes, in_file};
use super::options::{ConditionArguments, SamplingArguments, TransformerArguments};
use super::output::Console;
use residua_core::codes::CodeStack;
use residua_core::error::Result;
use residua_core::sampling::{Filter, Schedule};
use residua_engine::Stage2;
use residua_io::image_io::mask;
use residua_protocol::ModelId;
use residua_protocol::recipe::SamplingRecipe;

/// A picture's codes, and the models that resample them.
pub struct Begun<'a> {
    /// The models.
    pub stage2: Stage2,
    /// The codes.
    pub stack: CodeStack,
    model: &'a TransformerArguments,
    id: ModelId,
    /// How the picture was sampled, if it was.
    found: Option<SamplingRecipe>,
    /// Whether this model did it.
    is_maker: bool,
}

impl<'a> Begun<'a> {
    /// Loads the models and reads or encodes `input`.
    pub fn new(model: &'a TransformerArguments, input: &Path, console: &Console) -> Result<Self> {
        let source = Source::read(input)?;
        let stage2 = model.stage2(source.recipe(), console)?;
        let codes = source.codes(&stage2.stage1.model, &mut console.task("encoding"))?;
        let (stack, recipe) = codes.single(input)?;
        let (id, found) = (stage2.id()?, recipe.and_then(|recipe| recipe.sampling));
        let maker = found.as_ref().map(|found| &found.rqtransformer.sha256);
        let is_maker = maker.map_or(Ok(false), |maker| stage2.checkpoint.is(maker))?;
        Ok(Self { stage2, stack, model, id, found, is_maker })
    }

    /// How the picture was sampled, if this model did it. Another model's settings do not apply to this one.
    pub fn same(&self) -> Option<&SamplingRecipe> {
        self.found.as_ref().filter(|_| self.is_maker)
    }

    /// The sampling plan.
    pub fn plan(
        &self,
        condition: &ConditionArguments,
        sampling: &SamplingArguments,
        filters: Vec<Filter>,
        schedule: Option<Schedule>,
    ) -> SamplingRecipe {
        SamplingRecipe {
            rqtransformer: self.id.clone(),
            condition: condition.condition_or(self.found.as_ref().map(|found| found.condition.clone())),
            seed: sampling.seed,
            image: 0,
            count: sampling.count(),
            filters,
            schedule,
            device: residua_kernels::device::kind(self.stage2.model.device()).into(),
            precision: self.model.precision().unwrap_or_default(),
            weights: self.model.model.weights,
        }
    }

    /// Which codes to keep: those of cells where the mask at `path`, resized and cropped like the picture, is
    /// darker than middle grey on average.
    pub fn outside(&self, path: &Path) -> Result<Vec<bool>> {
        let (stack, resolution) = (&self.stack, self.stage2.stage1.model.config.ddconfig.resolution);
        let mask = in_file(path, mask::from_bytes(&bytes(path)?))?.fit(resolution)?;
        let inside = mask::cells(&mask, stack.h(), stack.w());
        Ok(inside.iter().flat_map(|&inside| std::iter::repeat_n(!inside, stack.depth())).collect())
    }
}
