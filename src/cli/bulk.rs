//! Sampling in bulk: `sample --bulk` and `eval samples`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use super::drafting::DraftingArguments;
use super::options::{SamplingArguments, TransformerArguments};
use super::output::Console;
use super::{input, ranks};
use residua_core::config::{ConditionKind, RqTransformerConfig};
use residua_core::error::{Error, Result};
use residua_core::part::Part;
use residua_core::ranks::World;
use residua_core::text::counted;
use residua_engine::Stage2;
use residua_engine::bulk::{Bulk, Order, conditions, spread};
use residua_protocol::Options;

/// Options of `sample` that do nothing in bulk.
const NOT_IN_BULK: [&str; 8] =
    ["class", "prompt", "from", "clip", "classifier", "keep", "acceptance", "force"];

/// Sampling in bulk.
#[derive(Args)]
pub struct BulkArguments {
    /// Sample -n pictures of every class, as numbered PNGs, with all codes in codes.npy. Run it again to
    /// continue after a stop.
    #[arg(long, conflicts_with_all = NOT_IN_BULK)]
    pub bulk: bool,
    // As in `ChoosingArguments`, the conflicts of the required option are repeated.
    /// With --bulk: sample -n pictures of every caption in this file, one per line; - for standard input.
    #[arg(long, requires = "bulk", conflicts_with_all = NOT_IN_BULK, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    /// With --bulk: sample only pictures I, I + N, I + 2 N and so on. N processes, with I from 0 to N - 1, make all
    /// pictures, at once or in turn.
    #[arg(long, requires = "bulk", conflicts_with_all = NOT_IN_BULK, value_name = "I/N")]
    pub part: Option<Part>,
}

impl BulkArguments {
    /// Samples the pictures that `out` lacks; each rank its part.
    pub fn run(
        &self,
        out: &Path,
        sampling: &SamplingArguments,
        drafting: &DraftingArguments,
        model: &TransformerArguments,
        device: &Device,
        console: &Console,
    ) -> Result<()> {
        let options = model.options();
        let captions = self.captions.as_deref().map(|path| read_captions(path, console.world()));
        let captions = captions.transpose()?.unwrap_or_default();
        let stage2 = Stage2::load(&options, device, &mut console.task("loading"))?;
        check_captions(self.captions.as_deref(), &stage2.model.config)?;
        let given = conditions(&stage2.model.config, &captions)?;
        let total = u32::try_from(given.len()).ok().and_then(|kinds| kinds.checked_mul(sampling.count()));
        let total = total.filter(|&total| total > 0).ok_or_else(|| {
            Error::usage(format!(
                "-n {0}: expected 1 to {1} pictures in total, found {0} each for {2}",
                sampling.count(),
                u32::MAX,
                counted(given.len(), "condition")
            ))
        })?;
        let orders = spread(given, total);
        let part = ranks::part(console.world(), self.part)?;
        let bulk = bulk(&stage2, &options, sampling, drafting, orders, part)?;
        let filled = pollster::block_on(bulk.fill(out, &mut console.task("sampling")))?;
        let mut counts = [filled.made as f64, filled.found as f64];
        console.world().sum_f64(&mut counts);
        let [made, found] = counts.map(|count| count as usize);
        let text = match found {
            0 => format!("{made} sampled into {}", out.display()),
            found => format!("{made} sampled into {}, {found} already there", out.display()),
        };
        let folder = out.display().to_string();
        console.result(json!({"folder": folder, "made": made, "found": found}), &text)
    }
}

/// The bulk job that samples `part` of `orders` with these options.
pub fn bulk<'a>(
    stage2: &'a Stage2,
    options: &Options,
    sampling: &SamplingArguments,
    drafting: &DraftingArguments,
    orders: Vec<Order>,
    part: Part,
) -> Result<Bulk<'a>> {
    let filters = sampling.filters(&stage2.model.config, None)?;
    let schedule = drafting.schedule(&stage2.model.config, &filters, None, None)?;
    let (precision, weights) = (options.precision, options.state);
    Ok(Bulk { stage2, filters, schedule, seed: sampling.seed, precision, weights, orders, part })
}

/// Refuses a file of captions if the model of `config` takes none.
pub fn check_captions(given: Option<&Path>, config: &RqTransformerConfig) -> Result<()> {
    match (given, config.condition()) {
        (None, _) | (Some(_), ConditionKind::Text) => Ok(()),
        (Some(_), ConditionKind::Class | ConditionKind::Unconditional) => Err(Error::usage(
            "--captions: expected a model that takes captions, found one that takes none: leave it out, or choose such a model",
        )),
    }
}

/// Reads one caption per line, skipping empty lines, from the file at `path`, or standard input if it is `-`. Several ranks
/// need a file, as only one of them gets standard input.
pub fn read_captions(path: &Path, world: &World) -> Result<Vec<String>> {
    if path == Path::new(input::STDIN) && !world.is_alone() {
        return Err(Error::usage(
            "--captions: expected a file that all ranks can read, found standard input: save the captions to a file",
        ));
    }
    let text = input::text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let captions: Vec<String> = lines.map(String::from).collect();
    if captions.is_empty() {
        return input::in_file(path, Err(Error::invalid("expected captions, one per line, found none")));
    }
    Ok(captions)
}
