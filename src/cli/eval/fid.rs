//! `residua eval fid`: Fréchet distance of samples, or of a folder, from a reference set.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};

use super::super::drafting::DraftingArguments;
use super::super::options::{ConditionArguments, SamplingArguments, TransformerArguments};
use super::super::output::Console;
use super::reference::{Reference, enough, parts};
use super::{PicturesArguments, protocol_lines};
use residua_core::error::{Error, Result};
use residua_core::sampling::{Filter, Schedule};
use residua_engine::Stage2;
use residua_engine::bulk::{Given, Order, conditions, spread};
use residua_engine::eval::sets::{Judge, Protocol, Seen};
use residua_engine::eval::{Pictures, Selection};
use residua_protocol::Condition;
use residua_train::data::Split;

/// Stage 2: Fréchet inception distance and inception score of samples, or of the pictures in a folder.
///
/// Samples are spread evenly over all classes, or over the captions of --data, unless --class or --prompt is
/// given. Their number is -n, else that of the pictures in --data. --data may also be an .npz of statistics
/// saved by `eval statistics` or another tool; then -n defaults to 50,000.
#[derive(Args)]
pub struct Fid {
    #[command(flatten)]
    reference: PicturesArguments,
    /// Inception weights: the file pt_inception-2015-12-05-6726825d.pth.
    #[arg(long, value_name = "PATH")]
    inception: PathBuf,
    /// Measure the pictures in this folder instead of sampling new ones.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "rqvae", "weights", "precision", "half", "class", "prompt", "number", "seed", "temperature", "top_k", "top_p", "guidance", "draft", "revise", "revise_temperature", "revise_top_k", "revise_top_p", "revise_guidance"])]
    samples: Option<PathBuf>,
    /// Resize the shorter side of the pictures in --data to N pixels and crop to the middle square. [default:
    /// the model's resolution; with --samples, use pictures as they are]
    #[arg(long, value_name = "N")]
    resolution: Option<usize>,
    /// Number of splits for the inception score. [default: 10, or the number of pictures if smaller]
    #[arg(long, value_name = "N")]
    splits: Option<usize>,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    drafting: DraftingArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

/// What to measure, before any features are computed.
enum Plan {
    Folder(Pictures),
    Samples {
        stage2: Box<Stage2>,
        orders: Vec<Order>,
        filters: Vec<Filter>,
        schedule: Option<Schedule>,
        about: Value,
    },
}

/// The measured pictures.
struct Judged {
    seen: Seen,
    /// Pixels per side, if a model sampled them.
    resolution: Option<usize>,
    /// Details for the result.
    about: Value,
}

impl Fid {
    /// Prints the metrics and how they were computed. Wrong options are refused before any picture is sampled
    /// or read.
    pub fn run(&self, console: &Console) -> Result<()> {
        if let Some(count) = self.sampling.number {
            parts(self.splits, count as usize)?;
        }
        if self.reference.batch.is_some() && self.reference.is_saved() && self.samples.is_none() {
            return Err(Error::usage(
                "--batch does nothing with saved statistics and new samples, as no pictures are read: leave it out",
            ));
        }
        let reference = Reference::open(&self.reference, self.resolution)?;
        let device = self.model.model.device.open()?;
        let judge = Judge::open(&self.inception, &device)?;
        let plan = match &self.samples {
            Some(folder) => self.folder(folder)?,
            None => self.sampled(&reference, &device, console)?,
        };
        let judged = self.judged(plan, &judge, console)?;
        let resolution = self.resolution.or(judged.resolution);
        let (reference, reference_pictures) = reference.statistics(&judge, resolution, console)?;
        let score = judged.seen.score(parts(self.splits, judged.seen.count())?)?;
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

    fn folder(&self, folder: &Path) -> Result<Plan> {
        let batch = self.reference.batch();
        let selection = Selection { folder: folder.into(), split: Split::All, limit: None, batch };
        let pictures = Pictures::open(&selection, &[], None)?;
        enough(folder, pictures.items().len())?;
        parts(self.splits, pictures.items().len())?;
        Ok(Plan::Folder(pictures))
    }

    fn sampled(&self, reference: &Reference, device: &Device, console: &Console) -> Result<Plan> {
        let count = self.sampling.number.unwrap_or(reference.count());
        parts(self.splits, count as usize)?;
        let stage2 = Stage2::load(&self.model.options(), device, &mut console.task("loading"))?;
        let config = &stage2.model.config;
        let orders = match self.condition.condition() {
            Condition::Unconditional => spread(conditions(config, &reference.captions())?, count),
            condition => {
                let tokens = condition.tokens(config)?;
                vec![Order { given: Given { condition, tokens }, images: 0..count }]
            }
        };
        let filters = self.sampling.filters(config, None)?;
        let schedule = self.drafting.schedule(config, &filters, None)?;
        let about = json!({
            "model": stage2.id()?, "rqvae": stage2.stage1.id()?, "seed": self.sampling.seed,
            "filters": filters, "schedule": schedule, "condition": self.condition.condition(),
        });
        Ok(Plan::Samples { stage2: Box::new(stage2), orders, filters, schedule, about })
    }

    fn judged(&self, plan: Plan, judge: &Judge, console: &Console) -> Result<Judged> {
        match plan {
            Plan::Folder(mut pictures) => {
                let seen = pollster::block_on(judge.look(&mut pictures, &mut console.task("looking")))?;
                Ok(Judged { seen, resolution: None, about: json!({ "left_out": pictures.left_out }) })
            }
            Plan::Samples { stage2, orders, filters, schedule, about } => {
                let (seed, mut task) = (self.sampling.seed, console.task("sampling"));
                let schedule = schedule.as_ref();
                let looked = judge.look_at_samples(&stage2, orders, &filters, schedule, seed, &mut task);
                let resolution = stage2.stage1.model.config.ddconfig.resolution;
                Ok(Judged { seen: pollster::block_on(looked)?, resolution: Some(resolution), about })
            }
        }
    }
}
