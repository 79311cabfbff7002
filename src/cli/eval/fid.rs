//! `residua eval fid`: how far samples, or a folder, are from a folder, as sets.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};

use super::super::options::{ConditionArguments, ModelArguments, SamplingArguments};
use super::super::output::Console;
use super::{PicturesArguments, protocol_lines};
use crate::engine::eval::sets::{Judge, Protocol, Seen, orders};
use crate::engine::eval::{Pictures, Selection};
use crate::engine::{Condition, Stage2};
use crate::error::Result;
use crate::metrics::frechet::Statistics;
use crate::train::data::Split;

/// Stage 2: Fréchet inception distance and inception score of samples, or of the pictures in a folder.
///
/// Samples are as many of each class, or by the captions of --data, unless --class or --prompt is given. --data may be
/// statistics that `eval statistics`, or another tool, has saved as .npz.
#[derive(Args)]
pub struct Fid {
    #[command(flatten)]
    reference: PicturesArguments,
    /// Inception's weights: pt_inception-2015-12-05-6726825d.pth.
    #[arg(long, value_name = "PATH")]
    inception: PathBuf,
    /// Judge the pictures in this folder instead of new ones of the model.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "class", "prompt", "number"])]
    samples: Option<PathBuf>,
    /// Bring the shorter side of the pictures in --data to so many pixels and keep the middle. [default: the model's; with
    /// --samples, take pictures as they are]
    #[arg(long, value_name = "N")]
    resolution: Option<usize>,
    /// Parts of the inception score.
    #[arg(long, default_value_t = 10, value_name = "N")]
    splits: usize,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// What is judged.
struct Judged {
    seen: Seen,
    /// Pixels each way, of a model's.
    resolution: Option<usize>,
    /// What is known of it.
    about: Value,
}

impl Fid {
    /// Prints the figures and how they were come by.
    pub fn run(&self, console: &Console) -> Result<()> {
        let device = self.model.device.open()?;
        let judge = Judge::open(&self.inception, &device)?;
        let judged = match &self.samples {
            Some(folder) => self.folder(&judge, folder, console)?,
            None => self.sampled(&judge, &device, console)?,
        };
        let resolution = self.resolution.or(judged.resolution);
        let (reference, reference_pictures) = self.reference(&judge, resolution, console)?;
        let score = judged.seen.score(self.splits)?;
        let protocol = Protocol::new(&judge, judged.seen.count(), reference_pictures, resolution);
        let distance = reference.distance(&judged.seen.statistics()?)?;
        let deviation = score.deviation.map_or_else(|| "?".into(), |deviation| format!("{deviation:.4}"));
        let text = format!(
            "FID         {distance:.4}\nIS          {:.4} +- {deviation}, {} parts\n{}",
            score.mean,
            score.parts,
            protocol_lines(&protocol)
        );
        let value = json!({
            "fid": distance, "inception_score": score, "protocol": protocol, "judged": judged.about,
            "split": self.reference.split,
        });
        console.result(value, &text)
    }

    fn folder(&self, judge: &Judge, folder: &Path, console: &Console) -> Result<Judged> {
        let batch = self.reference.batch;
        let selection = Selection { folder: folder.into(), split: Split::All, limit: None, batch };
        let mut pictures = Pictures::open(&selection, &[], None)?;
        let seen = pollster::block_on(judge.look(&mut pictures, &mut console.task("looking")))?;
        Ok(Judged { seen, resolution: None, about: json!({ "left_out": pictures.left_out }) })
    }

    fn sampled(&self, judge: &Judge, device: &Device, console: &Console) -> Result<Judged> {
        let stage2 = Stage2::load(&self.model.options(), device, &mut console.task("loading"))?;
        let config = &stage2.model.config;
        let count = self.sampling.number;
        let orders = match self.condition.condition() {
            Condition::Unconditional => orders(config, count, &self.captions()?)?,
            condition => vec![(condition.tokens(config)?, 0..count)],
        };
        let filters = self.sampling.filters(config, None)?;
        let mut task = console.task("sampling");
        let seed = self.sampling.seed;
        let seen = pollster::block_on(judge.look_at_samples(&stage2, orders, &filters, seed, &mut task))?;
        let about = json!({
            "model": stage2.id()?, "rqvae": stage2.stage1.id()?, "seed": seed, "filters": filters,
            "condition": self.condition.condition(),
        });
        Ok(Judged { seen, resolution: Some(stage2.stage1.model.config.ddconfig.resolution), about })
    }

    /// Captions of the reference pictures, where it has any.
    fn captions(&self) -> Result<Vec<String>> {
        if self.is_saved() {
            return Ok(Vec::new());
        }
        let pictures = Pictures::open(&self.reference.selection(), &[], None)?;
        Ok(pictures.captions().unwrap_or_default())
    }

    /// Statistics to compare with, and of how many pictures, where that is known.
    fn reference(
        &self,
        judge: &Judge,
        resolution: Option<usize>,
        console: &Console,
    ) -> Result<(Statistics, Option<usize>)> {
        if self.is_saved() {
            return Ok((Statistics::read(&self.reference.data)?, None));
        }
        let mut pictures = Pictures::open(&self.reference.selection(), &[], resolution)?;
        let seen = pollster::block_on(judge.look(&mut pictures, &mut console.task("looking")))?;
        let count = seen.count();
        Ok((seen.statistics()?, Some(count)))
    }

    /// Whether the reference is saved statistics.
    fn is_saved(&self) -> bool {
        self.reference.data.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
    }
}
