//! `residua eval fid`: Fréchet distance of samples, or of a folder, from a reference set.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::drafting::DraftingArguments;
use super::super::options::{ConditionArguments, SamplingArguments, TransformerArguments};
use super::super::output::Console;
use super::parts::{OwnPart, PartArguments, Setting};
use super::reference::{Reference, check_resolution, enough, splits};
use super::{PicturesArguments, protocol_lines};
use residua_core::config::Precision;
use residua_core::error::{Error, Result};
use residua_core::text::counted;
use residua_engine::Stage2;
use residua_engine::bulk::{Given, Order, conditions, spread};
use residua_engine::eval::sets::{self, Observer, Protocol, Seen};
use residua_engine::eval::{Pictures, Selection, Tally};
use residua_io::image_io::framing::Framing;
use residua_kernels::device::kind;
use residua_metrics::merge::Merge;
use residua_protocol::Condition;
use residua_train::data::{Augmentation, Split};

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
    /// Resize the shorter side of the pictures in --data to N pixels and crop to the middle square. For a model
    /// whose dataset.transforms is dalle-vqvae or clip, they are squeezed instead, as published. [default: the model's
    /// resolution; with --samples, use pictures as they are]
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
    part: PartArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

/// What is measured.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    /// SHA-256 of Inception's weights.
    inception: String,
    /// How the samples are made; `None` for pictures in a folder.
    samples: Option<Value>,
    /// Number of pictures to measure, including those that cannot be read.
    count: usize,
    splits: usize,
    resolution: Option<usize>,
    framing: Framing,
    precision: Precision,
    split: Split,
    device: String,
    /// The fingerprint of the measured pictures, if they are in a folder and measured in parts.
    pictures: Option<String>,
    /// The fingerprint of the reference, if it is pictures and measured in parts.
    reference: Option<String>,
}

/// Sums over the measured pictures and the reference.
#[derive(Serialize, Deserialize)]
pub struct Sums {
    judged: Tally<Seen>,
    reference: sets::Reference,
}

impl Merge for Sums {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.judged.merge(other.judged)?;
        self.reference.merge(other.reference)
    }
}

impl Fid {
    /// Prints the metrics and how they were computed. Wrong options are refused before any picture is sampled
    /// or read.
    pub fn run(&self, console: &Console) -> Result<()> {
        let own = self.part.open::<Measurement>(console)?;
        if let Some(count) = self.sampling.number {
            splits(self.splits, count as usize)?;
        }
        check_resolution(self.resolution)?;
        if self.reference.batch.is_some() && self.reference.is_saved() && self.samples.is_none() {
            return Err(Error::usage(
                "--batch does nothing with saved statistics and new samples, as no pictures are read: leave it out",
            ));
        }
        let reference = Reference::open(&self.reference, self.resolution)?;
        let device = self.model.model.device.open()?;
        let observer = Observer::open(&self.inception, &device)?;
        let measurement = Measurement {
            inception: observer.sha256.clone(),
            samples: None,
            count: 0,
            splits: 0,
            resolution: self.resolution,
            framing: Framing::Middle,
            precision: self.model.precision().unwrap_or_default(),
            split: self.reference.split,
            device: kind(&device).into(),
            pictures: None,
            reference: own.of_parts(|| reference.fingerprint(&self.reference.data)).flatten(),
        };
        let (measurement, judged) = match &self.samples {
            Some(folder) => self.folder(folder, measurement, &observer, &own, console)?,
            None => self.sampled(&reference, measurement, &observer, &own, &device, console)?,
        };
        let Measurement { resolution, framing, .. } = measurement;
        let reference = reference.seen(&observer, resolution, framing, own.part, console)?;
        own.finish(&measurement, Sums { judged, reference }, console)
    }

    /// Looks at the pictures in `folder`.
    fn folder(
        &self,
        folder: &Path,
        measurement: Measurement,
        observer: &Observer,
        own: &OwnPart,
        console: &Console,
    ) -> Result<(Measurement, Tally<Seen>)> {
        let batch = self.reference.batch();
        let selection = Selection { folder: folder.into(), split: Split::All, limit: None, batch };
        let pictures = Pictures::open(&selection, &[], None)?;
        let count = pictures.items().len();
        enough(folder, count)?;
        let splits = splits(self.splits, count)?;
        let fingerprint = own.of_parts(|| pictures.fingerprint(folder));
        let (mut pictures, mut task) = (pictures.only(own.part), console.task("looking"));
        let seen = pollster::block_on(observer.look(&mut pictures, splits, &mut task))?;
        Ok((Measurement { count, splits, pictures: fingerprint, ..measurement }, seen))
    }

    /// Samples pictures and looks at them.
    fn sampled(
        &self,
        reference: &Reference,
        measurement: Measurement,
        observer: &Observer,
        own: &OwnPart,
        device: &Device,
        console: &Console,
    ) -> Result<(Measurement, Tally<Seen>)> {
        let count = self.sampling.number.unwrap_or(reference.count());
        let splits = splits(self.splits, count as usize)?;
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
        let schedule = self.drafting.schedule(config, &filters, None, None)?;
        let samples = json!({
            "model": stage2.id()?, "rqvae": stage2.stage1.id()?, "seed": self.sampling.seed,
            "filters": filters, "schedule": schedule, "condition": self.condition.condition(),
        });
        let resolution = self.resolution.or(Some(stage2.stage1.model.config.ddconfig.resolution));
        let framing = Augmentation::measured(config.dataset.transforms.0.as_deref());
        let plan =
            sets::Plan { stage2: &stage2, orders, filters, schedule, seed: self.sampling.seed, splits };
        let mut task = console.task("sampling");
        let seen = pollster::block_on(observer.look_at_samples(&plan, own.part, &mut task))?;
        let count = count as usize;
        Ok((Measurement { samples: Some(samples), count, splits, resolution, framing, ..measurement }, seen))
    }
}

impl Setting for Measurement {
    const COMMAND: &'static str = "fid";
    type Sums = Sums;

    fn result(&self, Sums { judged, reference }: Sums) -> Result<(Value, String)> {
        let Tally { pictures, left_out, sums } = judged;
        let (reference, reference_pictures) = reference.statistics()?;
        let protocol = Protocol::new(&self.inception, pictures, reference_pictures, self.resolution);
        let protocol = Protocol { framing: self.framing, ..protocol };
        let score = sums.score()?;
        let distance = reference.distance(&sums.statistics()?)?;
        let deviation = score.deviation.map_or_else(|| "?".into(), |deviation| format!("{deviation:.4}"));
        let text = format!(
            "FID         {distance:.4}\nIS          {:.4} +- {deviation}, {}\n{}",
            score.mean,
            counted(score.splits, "split"),
            protocol_lines(&protocol)
        );
        let value = json!({
            "fid": distance, "inception_score": score, "protocol": protocol,
            "judged": self.samples.clone().unwrap_or_else(|| json!({ "left_out": left_out })),
            "split": self.split,
        });
        Ok((value, text))
    }
}
