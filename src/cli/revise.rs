//! `residua revise`: resample a picture's cells, given all others.

use std::path::PathBuf;

use clap::Args;

use super::begun::Begun;
use super::options::{ConditionArguments, SamplingArguments, TransformerArguments};
use super::output::Console;
use super::sample::Run;
use super::target::ForceArguments;
use residua_core::config::Architecture;
use residua_core::error::{Error, Result};
use residua_core::sampling::{Forced, Rounds, Schedule};

/// Resample a picture's cells with a contextual model, one random part at a time, each given all other cells.
#[derive(Args)]
pub struct Revise {
    /// A picture, a PNG that carries codes, or an .npy of codes; - for standard input.
    input: PathBuf,
    /// Revise the cells under the white part of this mask (or its transparent part, if it has one) and keep
    /// the others. [default: all cells]
    #[arg(long, value_name = "IMAGE")]
    cells: Option<PathBuf>,
    /// Number of rounds, and of random parts in each round; fewer parts resample more cells at once.
    #[arg(long, value_name = "ROUNDSxPARTS", default_value_t = Rounds::default())]
    revise: Rounds,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Folder for the pictures.
    #[arg(long, short, default_value = "revised", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Revise {
    /// Samples, decodes and saves; on Ctrl-C, saves the finished pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        if self.revise.rounds == 0 {
            return Err(Error::usage("--revise: expected at least one round, such as 2x2, found 0"));
        }
        let begun = Begun::new(&self.model, &self.input, console)?;
        let config = &begun.stage2.model.config;
        config.kind.must_be(
            Architecture::Contextual,
            "revising",
            "use `complete` to resample a part with an autoregressive model",
        )?;
        let keep = match &self.cells {
            Some(mask) => begun.outside(mask)?,
            None => vec![false; begun.stack.codes().len()],
        };
        let revised = |schedule: &Schedule| schedule.filters.clone();
        let recipe = begun.same().and_then(|same| same.schedule.as_ref()).map(revised);
        let usual = || config.sampling.of_revisions(&config.sampling.filters);
        let filters = self.sampling.filters(config, Some(&recipe.unwrap_or_else(usual)))?;
        let schedule = Schedule { draft: 0, revise: self.revise, filters: filters.clone() };
        let plan = begun.plan(&self.condition, &self.sampling, filters, Some(schedule));
        let (out, force, stack) = (&self.out, self.force, begun.stack.clone());
        Run { stage2: &begun.stage2, console, out, force, made_by: "revise", choosing: None }
            .finish(plan, Some(Forced { stack, keep }))
    }
}
