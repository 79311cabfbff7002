//! `residua eval fid`: how far samples, or a folder, are from a folder, as sets.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};

use super::super::options::{ConditionArguments, ModelArguments, SamplingArguments};
use super::super::output::Console;
use super::{PicturesArguments, protocol_lines};
use crate::engine::eval::sets::{Judge, Orders, Protocol, Seen, orders};
use crate::engine::eval::{Pictures, Selection};
use crate::engine::{Condition, Stage2};
use crate::error::{Error, Result};
use crate::generate::Filter;
use crate::metrics::frechet::Statistics;
use crate::train::data::Split;

/// Samples that published figures are measured on.
const PUBLISHED: u32 = 50_000;

/// Parts of the inception score in published figures.
const SPLITS: usize = 10;

/// Pictures that have a covariance.
const FEWEST: usize = 2;

/// Stage 2: Fréchet inception distance and inception score of samples, or of the pictures in a folder.
///
/// Samples are as many of each class, or by the captions of --data, unless --class or --prompt is given: -n of them, or as
/// many as --data has pictures. --data may be statistics that `eval statistics`, or another tool, has saved as .npz; then
/// 50,000 are sampled unless -n says otherwise.
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
    /// Parts of the inception score. [default: 10, or as many as there are pictures]
    #[arg(long, value_name = "N")]
    splits: Option<usize>,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// What is compared with.
enum Reference {
    Saved(Statistics),
    Pictures(Pictures),
}

/// What is judged, before it is looked at.
enum Plan {
    Folder(Pictures),
    Samples { stage2: Box<Stage2>, orders: Orders, filters: Vec<Filter>, about: Value },
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
    /// Prints the figures and how they were come by. What is wrong is found before any picture is made or read.
    pub fn run(&self, console: &Console) -> Result<()> {
        if let Some(count) = self.sampling.number {
            self.check_count(count as usize)?;
        }
        let reference = self.reference()?;
        let device = self.model.device.open()?;
        let judge = Judge::open(&self.inception, &device)?;
        let plan = match &self.samples {
            Some(folder) => self.folder(folder)?,
            None => self.sampled(&reference, &device, console)?,
        };
        let judged = self.judged(plan, &judge, console)?;
        let resolution = self.resolution.or(judged.resolution);
        let (reference, reference_pictures) = looked_at(reference, &judge, resolution, console)?;
        let score = judged.seen.score(self.splits(judged.seen.count()))?;
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

    /// What is compared with; of statistics, the extension tells.
    fn reference(&self) -> Result<Reference> {
        let data = &self.reference.data;
        if data.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
            return Statistics::read(data).map(Reference::Saved);
        }
        let pictures = Pictures::open(&self.reference.selection(), &[], None)?;
        enough(data, pictures.items().len())?;
        Ok(Reference::Pictures(pictures))
    }

    fn folder(&self, folder: &Path) -> Result<Plan> {
        let batch = self.reference.batch;
        let selection = Selection { folder: folder.into(), split: Split::All, limit: None, batch };
        let pictures = Pictures::open(&selection, &[], None)?;
        enough(folder, pictures.items().len())?;
        self.check_count(pictures.items().len())?;
        Ok(Plan::Folder(pictures))
    }

    fn sampled(&self, reference: &Reference, device: &Device, console: &Console) -> Result<Plan> {
        let (count, captions) = match reference {
            Reference::Saved(_) => (PUBLISHED, Vec::new()),
            Reference::Pictures(pictures) => {
                (pictures.items().len() as u32, pictures.captions().unwrap_or_default())
            }
        };
        let count = self.sampling.number.unwrap_or(count);
        self.check_count(count as usize)?;
        let stage2 = Stage2::load(&self.model.options(), device, &mut console.task("loading"))?;
        let config = &stage2.model.config;
        let orders = match self.condition.condition() {
            Condition::Unconditional => orders(config, count, &captions)?,
            condition => vec![(condition.tokens(config)?, 0..count)],
        };
        let filters = self.sampling.filters(config)?;
        let about = json!({
            "model": stage2.id()?, "rqvae": stage2.stage1.id()?, "seed": self.sampling.seed,
            "filters": filters, "condition": self.condition.condition(),
        });
        Ok(Plan::Samples { stage2: Box::new(stage2), orders, filters, about })
    }

    /// Refuses fewer pictures than have a covariance, or than there are parts of the score.
    fn check_count(&self, count: usize) -> Result<()> {
        if count < FEWEST {
            return Err(Error::usage(format!("-n: expected at least {FEWEST} samples, found {count}")));
        }
        let splits = self.splits(count);
        match (1..=count).contains(&splits) {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "--splits: expected 1 to {count}, the number of pictures, found {splits}"
            ))),
        }
    }

    fn splits(&self, count: usize) -> usize {
        self.splits.unwrap_or(SPLITS.min(count))
    }

    fn judged(&self, plan: Plan, judge: &Judge, console: &Console) -> Result<Judged> {
        match plan {
            Plan::Folder(mut pictures) => {
                let seen = pollster::block_on(judge.look(&mut pictures, &mut console.task("looking")))?;
                Ok(Judged { seen, resolution: None, about: json!({ "left_out": pictures.left_out }) })
            }
            Plan::Samples { stage2, orders, filters, about } => {
                let (seed, mut task) = (self.sampling.seed, console.task("sampling"));
                let looked = judge.look_at_samples(&stage2, orders, &filters, seed, &mut task);
                let resolution = stage2.stage1.model.config.ddconfig.resolution;
                Ok(Judged { seen: pollster::block_on(looked)?, resolution: Some(resolution), about })
            }
        }
    }
}

/// Refuses folders of too few pictures.
fn enough(folder: &Path, count: usize) -> Result<()> {
    match count >= FEWEST {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{}: expected at least {FEWEST} pictures, found {count}",
            folder.display()
        ))),
    }
}

/// Statistics to compare with, and of how many pictures, where that is known.
fn looked_at(
    reference: Reference,
    judge: &Judge,
    resolution: Option<usize>,
    console: &Console,
) -> Result<(Statistics, Option<usize>)> {
    match reference {
        Reference::Saved(statistics) => Ok((statistics, None)),
        Reference::Pictures(pictures) => {
            let mut pictures = pictures.fitted_to(resolution);
            let seen = pollster::block_on(judge.look(&mut pictures, &mut console.task("looking")))?;
            let count = seen.count();
            Ok((seen.statistics()?, Some(count)))
        }
    }
}
