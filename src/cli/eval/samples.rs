//! `residua eval samples`: the metrics of a paper's table, for saved samples.

use std::collections::BTreeSet;
use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::super::bulk::{bulk, check_captions, read_captions};
use super::super::drafting::DraftingArguments;
use super::super::options::{SamplingArguments, TransformerArguments};
use super::super::output::Console;
use super::super::target::check_folder;
use super::reference::{Reference, parts};
use super::sweep::{Sweep, settings};
use super::{PicturesArguments, protocol_lines};
use residua_core::config::{ConditionKind, RqTransformerConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_engine::Stage2;
use residua_engine::bulk::{Order, conditions, file, spread};
use residua_engine::eval::Pictures;
use residua_engine::eval::acceptance::{accepted, class_probabilities};
use residua_engine::eval::clip::clip_scores;
use residua_engine::eval::sets::{Judge, Protocol};
use residua_engine::judge::{load_classifier, load_clip};
use residua_judges::clip::Clip;
use residua_judges::resnet::ResNet;
use residua_metrics::frechet::Statistics;
use residua_metrics::inception_score::InceptionScore;
use residua_weights::WeightFile;

/// Stage 2: FID, inception score and CLIP score of saved samples, by sampling settings and by a classifier's
/// acceptance rate.
///
/// Samples are spread evenly over all classes, or over the captions of --captions or --data. They are saved
/// in --out as by `sample --bulk`: run the command again to continue after a stop, or to get other metrics of
/// the same samples.
#[derive(Args)]
pub struct Samples {
    #[command(flatten)]
    reference: PicturesArguments,
    /// Inception weights: the file pt_inception-2015-12-05-6726825d.pth.
    #[arg(long, value_name = "PATH")]
    inception: PathBuf,
    /// Folder for the samples; with --sweep, it gets one subfolder per setting.
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,
    /// File of captions to sample from, one per line; - for standard input. [default: those of --data]
    #[arg(long, value_name = "FILE")]
    captions: Option<PathBuf>,
    /// Try several values of temperature, top-k, top-p or guidance, such as top-k=100,300. If given more than
    /// once, all combinations are tried.
    #[arg(long, value_name = "NAME=V,V..")]
    sweep: Vec<Sweep>,
    /// Also compute the mean CLIP score: CLIP (ViT) weights, a .pt or .safetensors file.
    #[arg(long, value_name = "PATH")]
    clip: Option<PathBuf>,
    /// Accept only the samples that show their class most clearly: torchvision ResNet weights, a .pt, .pth or
    /// .safetensors file.
    #[arg(long, value_name = "PATH", conflicts_with = "clip", requires = "acceptance")]
    classifier: Option<PathBuf>,
    // As in `ChoosingArguments`, the conflicts of the required option are repeated.
    /// With --classifier: fractions of each class's samples to accept, above 0 and at most 1. Each gets a row
    /// of metrics.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "RATE[,RATE..]",
        requires = "classifier",
        conflicts_with = "clip",
        allow_negative_numbers = true
    )]
    acceptance: Vec<f64>,
    /// Number of splits for the inception score. [default: 10, or the number of pictures if smaller]
    #[arg(long, value_name = "N")]
    splits: Option<usize>,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    drafting: DraftingArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

/// Metrics of one set of samples.
#[derive(Serialize)]
struct Row {
    /// The settings of the sweep; empty without one.
    settings: String,
    /// The fraction that the classifier accepted.
    accepted: Option<f64>,
    pictures: usize,
    fid: f64,
    inception_score: InceptionScore,
    clip_score: Option<f64>,
}

impl Samples {
    /// Samples the missing pictures and prints the metrics.
    pub fn run(&self, console: &Console) -> Result<()> {
        check_folder(&self.out)?;
        self.check_apart()?;
        let reference = Reference::open(&self.reference, None)?;
        let settings = settings(&self.sweep, &self.sampling)?;
        let count = self.sampling.number.unwrap_or(reference.count());
        parts(self.splits, count as usize)?;
        let captions = match &self.captions {
            Some(path) => read_captions(path)?,
            None => reference.captions(),
        };
        let device = self.model.model.device.open()?;
        let options = self.model.options();
        let stage2 = Stage2::load(&options, &device, &mut console.task("loading"))?;
        let config = &stage2.model.config;
        check_captions(self.captions.as_deref(), config)?;
        let others = self.others(config, &device, console)?;
        let orders = spread(conditions(config, &captions)?, count);
        let judge = Judge::open(&self.inception, &device)?;
        let resolution = Some(stage2.stage1.model.config.ddconfig.resolution);
        let (reference, reference_pictures) = reference.statistics(&judge, resolution, console)?;
        let mut rows = Vec::new();
        for (name, sampling) in settings {
            let folder = if name.is_empty() { self.out.clone() } else { self.out.join(&name) };
            let bulk = bulk(&stage2, &options, &sampling, &self.drafting, orders.clone())?;
            pollster::block_on(bulk.fill(&folder, &mut console.task("sampling")))?;
            let set = Set { name, folder, orders: &orders, batch: self.reference.batch() };
            rows.extend(self.rows(&set, &judge, &reference, &others, console)?);
        }
        let protocol = Protocol::new(&judge, count as usize, reference_pictures, resolution);
        let value = json!({
            "rows": rows, "protocol": protocol, "model": stage2.id()?, "rqvae": stage2.stage1.id()?,
            "seed": self.sampling.seed, "split": self.reference.split,
        });
        console.result(value, &format!("{}\n{}", table(&rows), protocol_lines(&protocol)))
    }

    /// Refuses to save samples among the pictures that they are compared with.
    fn check_apart(&self) -> Result<()> {
        let data = &self.reference.data;
        match files::is_within(&self.out, data) {
            false => Ok(()),
            true => Err(Error::usage(format!(
                "--out: expected a folder outside {}, whose pictures the samples are compared with, found {}: \
                 choose another one",
                data.display(),
                self.out.display()
            ))),
        }
    }

    /// Loads the judge of the samples other than Inception.
    fn others(&self, config: &RqTransformerConfig, device: &Device, console: &Console) -> Result<Others> {
        let mut task = console.task("loading");
        Ok(match (&self.clip, &self.classifier, config.condition()) {
            (Some(path), _, ConditionKind::Text) => {
                let file = WeightFile::open(path, StateKind::Auto)?;
                Others::Clip(Box::new(load_clip(&file, device, &mut task)?))
            }
            (Some(_), ..) => {
                return Err(Error::usage("--clip: expected a model that takes captions, found another"));
            }
            (None, Some(path), ConditionKind::Class) => {
                let classes = config.vocab_size_cond;
                Others::Classifier(Box::new(load_classifier(path, classes, device, &mut task)?.0))
            }
            (None, Some(_), _) => {
                return Err(Error::usage("--classifier: expected a class-conditional model, found another"));
            }
            (None, None, _) => Others::None,
        })
    }

    /// The metrics of all samples of `set`, or of those accepted at each rate.
    fn rows(
        &self,
        set: &Set,
        judge: &Judge,
        reference: &Statistics,
        others: &Others,
        console: &Console,
    ) -> Result<Vec<Row>> {
        let row = |accepted: Option<f64>, files: Option<&BTreeSet<PathBuf>>| {
            let (mut looked_at, mut task) = (set.pictures(files)?, console.task("looking"));
            let seen = pollster::block_on(judge.look(&mut looked_at, &mut task))?;
            let pictures = seen.count();
            Ok(Row {
                settings: set.name.clone(),
                accepted,
                pictures,
                inception_score: seen.score(parts(self.splits, pictures)?)?,
                fid: reference.distance(&seen.statistics()?)?,
                clip_score: others.clip_score(set, console)?,
            })
        };
        let Others::Classifier(classifier) = others else { return Ok(vec![row(None, None)?]) };
        let mut task = console.task("classifying");
        let probabilities = class_probabilities(classifier, &set.folder, set.orders, &mut task);
        let probabilities = pollster::block_on(probabilities)?;
        let at = |&rate: &f64| {
            let numbers = accepted(set.orders, &probabilities, rate)?;
            let files = numbers.into_iter().map(|number| file(&set.folder, number)).collect();
            row(Some(rate), Some(&files))
        };
        self.acceptance.iter().map(at).collect()
    }
}

/// The samples of one setting.
struct Set<'a> {
    name: String,
    folder: PathBuf,
    orders: &'a [Order],
    /// Number of pictures in a batch.
    batch: usize,
}

impl Set<'_> {
    /// All its pictures, or only those in `files`.
    fn pictures(&self, files: Option<&BTreeSet<PathBuf>>) -> Result<Pictures> {
        let all = Pictures::sampled(&self.folder, self.orders, self.batch)?;
        Ok(match files {
            Some(files) => all.among(files),
            None => all,
        })
    }
}

/// The judge of samples other than Inception.
enum Others {
    Clip(Box<Clip>),
    Classifier(Box<ResNet>),
    None,
}

impl Others {
    fn clip_score(&self, set: &Set, console: &Console) -> Result<Option<f64>> {
        let Self::Clip(clip) = self else { return Ok(None) };
        let mut task = console.task("scoring");
        let mut pictures = set.pictures(None)?;
        let scores = pollster::block_on(clip_scores(clip, &mut pictures, &mut task))?;
        Ok(Some(scores.clip_score))
    }
}

fn table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let shown = |figure: Option<f64>| figure.map_or_else(|| "-".into(), |figure| format!("{figure:.4}"));
        format!(
            "{:<32} {:>8} {:>9} {:>10.4} {:>10.4} {:>8}",
            row.settings,
            shown(row.accepted),
            row.pictures,
            row.fid,
            row.inception_score.mean,
            shown(row.clip_score)
        )
    };
    let head = format!(
        "{:<32} {:>8} {:>9} {:>10} {:>10} {:>8}",
        "settings", "accepted", "pictures", "FID", "IS", "CLIP"
    );
    std::iter::once(head).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}
