//! `residua complete`: keep a part of a stack, sample the rest.

use std::path::PathBuf;

use clap::Args;

use super::begun::Begun;
use super::choosing::{By, Choosing};
use super::drafting::DraftingArguments;
use super::options::{ConditionArguments, SamplingArguments, TransformerArguments};
use super::output::Console;
use super::sample::Run;
use super::target::ForceArguments;
use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_core::sampling::Forced;
use residua_core::text::counted;
use residua_engine::Stage2;
use residua_engine::fit::Fit;
use residua_protocol::recipe::SamplingRecipe;

/// Keep a part of a picture's codes and sample the rest. An autoregressive transformer sees the codes before
/// each cell, a contextual one all codes that are kept.
#[derive(Args)]
pub struct Complete {
    /// A picture, a PNG that carries codes, or an .npy of codes; - for standard input.
    input: PathBuf,
    /// Keep the first N rows of cells.
    #[arg(long, value_name = "N", required_unless_present = "mask", conflicts_with = "mask")]
    rows: Option<usize>,
    /// Resample the cells under the white part of this mask (or its transparent part, if it has one) and keep
    /// the others.
    #[arg(long, value_name = "IMAGE")]
    mask: Option<PathBuf>,
    /// Sample N completions and keep the best one, or the -n best: those that make the later, kept cells most
    /// likely under the transformer. An autoregressive model does not see these cells while it samples, so
    /// this only chooses among guesses.
    #[arg(long, value_name = "N")]
    best_of: Option<u32>,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    drafting: DraftingArguments,
    /// Folder for the pictures.
    #[arg(long, short, default_value = "completed", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Complete {
    /// Samples, decodes and saves; on Ctrl-C, saves the finished pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        let begun = Begun::new(&self.model, &self.input, console)?;
        let keep = match (&self.mask, self.rows) {
            (Some(mask), _) => begun.outside(mask)?,
            (None, rows) => first_rows(rows.unwrap_or(0), &begun.stack)?,
        };
        let (config, same) = (&begun.stage2.model.config, begun.same());
        let filters = self.sampling.filters(config, same.map(|found| &found.filters[..]))?;
        let recipe = same.and_then(|found| found.schedule.as_ref());
        let forced = Forced { stack: begun.stack.clone(), keep };
        let schedule = self.drafting.schedule(config, &filters, Some(&forced), recipe)?;
        let mut plan = begun.plan(&self.condition, &self.sampling, filters, schedule);
        let choosing =
            self.best_of.map(|most| self.choosing(most, &begun.stage2, &plan, &forced)).transpose()?;
        plan.count = self.best_of.unwrap_or(plan.count);
        let (out, force) = (&self.out, self.force);
        Run { stage2: &begun.stage2, console, out, force, made_by: "complete", choosing }
            .finish(plan, Some(forced))
    }

    /// Selects the best of `most` completions.
    fn choosing(
        &self,
        most: u32,
        stage2: &Stage2,
        plan: &SamplingRecipe,
        forced: &Forced,
    ) -> Result<Choosing> {
        let kept = self.sampling.count();
        if !(1..=most).contains(&kept) {
            return Err(Error::usage(format!(
                "--best-of: expected at least {kept}, the value of -n, found {most}"
            )));
        }
        let condition = plan.condition.tokens(&stage2.model.config)?;
        let fit = Fit::new(&stage2.model, forced, condition)?;
        Ok(Choosing { by: By::Fit(fit, plan.rqtransformer.clone()), kept: kept as usize })
    }
}

fn first_rows(rows: usize, stack: &CodeStack) -> Result<Vec<bool>> {
    if rows > stack.h() {
        return Err(Error::usage(format!(
            "--rows: the stack has {}, found {rows}",
            counted(stack.h(), "row")
        )));
    }
    let kept = rows * stack.w() * stack.depth();
    Ok((0..stack.codes().len()).map(|place| place < kept).collect())
}
