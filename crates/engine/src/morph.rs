//! A morph whose frames fit: cells where two stacks meet are revised by a contextual model.

use super::sample::{Sampled, sample};
use residua_core::codes::CodeStack;
use residua_core::config::Architecture;
use residua_core::error::Result;
use residua_core::sampling::morph::{Frame, Morph};
use residua_core::sampling::{Filter, Forced, Rounds, Schedule};
use residua_core::task::Task;
use residua_model::RqTransformer;
use residua_model::generate::Request;

/// What revises the seams.
pub struct Fitting<'a> {
    /// A contextual model.
    pub model: &'a RqTransformer,
    /// Tokens of the condition.
    pub condition: Vec<u32>,
    /// One filter per depth.
    pub filters: Vec<Filter>,
}

/// The frames of a morph, their seams revised if `fitting` is given. `task` counts frames.
///
/// # Errors
/// The task was stopped; the stacks differ in shape or do not fit the model; the model is not contextual.
pub async fn morph(
    from: &CodeStack,
    to: &CodeStack,
    plan: &Morph,
    fitting: Option<&Fitting<'_>>,
    task: &mut Task<'_>,
) -> Result<Vec<CodeStack>> {
    if let Some(fitting) = fitting {
        let hint = "an autoregressive model does not see what comes after a cell";
        fitting.model.config.kind.must_be(Architecture::Contextual, "fitting a morph", hint)?;
    }
    let frames = plan.frames(from, to)?;
    let count = frames.len();
    let mut stacks = Vec::with_capacity(count);
    for frame in frames {
        task.pause().await?;
        stacks.push(match fitting.filter(|_| frame.seam.contains(&true)) {
            Some(fitting) => fitted(fitting, frame, plan.seed, &mut task.silent()).await?,
            None => frame.stack,
        });
        task.report(stacks.len(), count);
    }
    Ok(stacks)
}

/// A frame with its seam revised. All frames share their random numbers, so that they flicker less.
async fn fitted(fitting: &Fitting<'_>, frame: Frame, seed: u64, task: &mut Task<'_>) -> Result<CodeStack> {
    let depth = frame.stack.depth();
    let keep = frame.seam.iter().flat_map(|&seam| std::iter::repeat_n(!seam, depth)).collect();
    let request = Request {
        condition: fitting.condition.clone(),
        filters: fitting.filters.clone(),
        seed,
        images: (0..1).into(),
        forced: Some(Forced { stack: frame.stack.clone(), keep }),
    };
    let revise = Rounds { rounds: 1, ..Rounds::default() };
    let schedule = Schedule { draft: 0, revise, filters: fitting.filters.clone() };
    let mut revised = frame.stack;
    let keep = async |sampled| {
        if let Sampled::Whole(mut stacks) = sampled {
            revised = stacks.remove(0);
        }
        Ok(())
    };
    sample(fitting.model, &request, Some(&schedule), false, task, keep).await?;
    Ok(revised)
}
