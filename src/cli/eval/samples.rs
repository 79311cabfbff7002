//! `residua eval samples`: the metrics of a paper's table, for saved samples.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::bulk::{bulk, check_captions, read_captions};
use super::super::drafting::DraftingArguments;
use super::super::options::{SamplingArguments, TransformerArguments};
use super::super::output::Console;
use super::super::target::check_folder;
use super::parts::{OwnPart, PartArguments, Setting, sha256};
use super::reference::{Reference, splits};
use super::sweep::{Sweep, settings};
use super::{PicturesArguments, protocol_lines};
use residua_core::config::{ConditionKind, Precision, RqTransformerConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_engine::Stage2;
use residua_engine::bulk::{Order, conditions, file, spread};
use residua_engine::eval::acceptance::{accepted, class_probabilities};
use residua_engine::eval::clip::{ClipScores, Scored, clip_scores};
use residua_engine::eval::sets::{self, Observer, Protocol, Seen};
use residua_engine::eval::{Pictures, Tally};
use residua_engine::judge::{load_classifier, load_clip};
use residua_engine::models::id_of_file;
use residua_io::image_io::framing::Framing;
use residua_judges::clip::Clip;
use residua_judges::resnet::ResNet;
use residua_kernels::device::kind;
use residua_metrics::inception_score::InceptionScore;
use residua_metrics::merge::Merge;
use residua_protocol::ModelId;
use residua_train::data::{Augmentation, Split};
use residua_weights::WeightFile;

/// Stage 2: FID, inception score and CLIP score of saved samples, by sampling settings and by a classifier's
/// acceptance rate.
///
/// Samples are spread evenly over all classes, or over the captions of --captions or --data. They are saved
/// in --out as by `sample --bulk`: run the command again to continue after a stop, or to get other metrics of
/// the same samples. Parts may share that folder. Rejection sampling needs the samples of all parts in it, and no
/// --part.
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
    #[arg(long, value_name = "PATH", conflicts_with_all = ["clip", "part"], requires = "acceptance")]
    classifier: Option<PathBuf>,
    // As in `ChoosingArguments`, the conflicts of the required option are repeated.
    /// With --classifier: fractions of each class's samples to accept, above 0 and at most 1. Each gets a row
    /// of metrics.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "RATE[,RATE..]",
        requires = "classifier",
        conflicts_with_all = ["clip", "part"]
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
    part: PartArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

/// What is measured.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    /// SHA-256 of Inception's weights.
    inception: String,
    /// CLIP's weights, if measured in parts.
    clip: Option<ModelId>,
    model: ModelId,
    rqvae: ModelId,
    precision: Precision,
    seed: u64,
    /// SHA-256 of the conditions and numbers of all samples.
    orders: String,
    /// Number of samples of a set.
    count: usize,
    resolution: usize,
    framing: Framing,
    split: Split,
    device: String,
    /// The fingerprint of the reference, if it is pictures and measured in parts.
    reference: Option<String>,
    sets: Vec<Set>,
}

/// A set of samples.
#[derive(Serialize, Deserialize)]
struct Set {
    /// The settings of the sweep; empty without one.
    settings: String,
    /// The filters and the schedule.
    sampling: Value,
    /// The fraction that the classifier accepted.
    accepted: Option<f64>,
    /// Number of splits of the inception score.
    splits: usize,
}

/// Sums over the sets and the reference.
#[derive(Serialize, Deserialize)]
pub struct Sums {
    reference: sets::Reference,
    sets: Vec<SetSums>,
}

/// Sums over a set of samples.
#[derive(Serialize, Deserialize)]
struct SetSums {
    seen: Tally<Seen>,
    scores: Option<Tally<BTreeMap<u32, Scored>>>,
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

impl Merge for Sums {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.reference.merge(other.reference)?;
        self.sets.merge(other.sets)
    }
}

impl Merge for SetSums {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.seen.merge(other.seen)?;
        self.scores.merge(other.scores)
    }
}

impl Samples {
    /// Samples the missing pictures and prints the metrics.
    pub fn run(&self, console: &Console) -> Result<()> {
        check_folder(&self.out)?;
        self.check_apart()?;
        let own = self.part.open::<Measurement>(console)?;
        if self.classifier.is_some() && !console.world().is_alone() {
            return Err(Error::usage(
                "--classifier: expected one process, which compares all samples, found several under mpirun: sample under mpirun \
                 without it, then run this without mpirun",
            ));
        }
        let reference = Reference::open(&self.reference, None)?;
        let settings = settings(&self.sweep, &self.sampling)?;
        let count = self.sampling.number.unwrap_or(reference.count());
        splits(self.splits, count as usize)?;
        let captions = match &self.captions {
            Some(path) => read_captions(path, console.world())?,
            None => reference.captions(),
        };
        let device = self.model.model.device.open()?;
        let options = self.model.options();
        let stage2 = Stage2::load(&options, &device, &mut console.task("loading"))?;
        let config = &stage2.model.config;
        check_captions(self.captions.as_deref(), config)?;
        let others = self.others(config, &device, console)?;
        let orders = spread(conditions(config, &captions)?, count);
        let observer = Observer::open(&self.inception, &device)?;
        let clip = |path: &PathBuf| id_of_file(&WeightFile::open(path, StateKind::Auto)?);
        let mut measurement = Measurement {
            inception: observer.sha256.clone(),
            clip: own.of_parts(|| self.clip.as_ref().map(clip).transpose()).transpose()?.flatten(),
            model: stage2.id()?,
            rqvae: stage2.stage1.id()?,
            precision: options.precision,
            seed: self.sampling.seed,
            orders: hash(&orders),
            count: count as usize,
            resolution: stage2.stage1.model.config.ddconfig.resolution,
            framing: Augmentation::measured(config.dataset.transforms.0.as_deref()),
            split: self.reference.split,
            device: kind(&device).into(),
            reference: own.of_parts(|| reference.fingerprint(&self.reference.data)).flatten(),
            sets: Vec::new(),
        };
        let (resolution, framing) = (Some(measurement.resolution), measurement.framing);
        let reference = reference.seen(&observer, resolution, framing, own.part, console)?;
        let mut sums = Sums { reference, sets: Vec::new() };
        for (name, sampling) in settings {
            let folder = if name.is_empty() { self.out.clone() } else { self.out.join(&name) };
            let bulk = bulk(&stage2, &options, &sampling, &self.drafting, orders.clone(), own.part)?;
            let sampling = json!({ "filters": bulk.filters, "schedule": bulk.schedule });
            pollster::block_on(bulk.fill(&folder, &mut console.task("sampling")))?;
            let made = Made { folder, orders: &orders, batch: self.reference.batch() };
            for (accepted, pictures) in self.judged(&made, &others, console)? {
                let splits = splits(self.splits, pictures.items().len())?;
                let settings = name.clone();
                measurement.sets.push(Set { settings, sampling: sampling.clone(), accepted, splits });
                let (mut pictures, mut task) = (pictures.only(own.part), console.task("looking"));
                let seen = pollster::block_on(observer.look(&mut pictures, splits, &mut task))?;
                sums.sets.push(SetSums { seen, scores: others.scores(&made, &own, console)? });
            }
        }
        own.finish(&measurement, sums, console)
    }

    /// Refuses to save samples among the pictures that they are compared with.
    fn check_apart(&self) -> Result<()> {
        let data = &self.reference.data;
        if files::is_within(&self.out, data) {
            return Err(Error::usage(format!(
                "--out: expected a folder outside {}, whose pictures the samples are compared with, found {}: \
                 choose another one",
                data.display(),
                self.out.display()
            )));
        }
        Ok(())
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
                return Err(Error::usage(
                    "--clip: expected a model that takes captions, found one that takes none",
                ));
            }
            (None, Some(path), ConditionKind::Class) => {
                let classes = config.vocab_size_cond;
                Others::Classifier(Box::new(load_classifier(path, classes, device, &mut task)?.0))
            }
            (None, Some(_), _) => {
                return Err(Error::usage(
                    "--classifier: expected a class-conditional model, found one without classes",
                ));
            }
            (None, None, _) => Others::None,
        })
    }

    /// The pictures to judge: all samples, or those that are accepted at each rate.
    fn judged(
        &self,
        made: &Made,
        others: &Others,
        console: &Console,
    ) -> Result<Vec<(Option<f64>, Pictures)>> {
        let Others::Classifier(classifier) = others else { return Ok(vec![(None, made.pictures()?)]) };
        let mut task = console.task("classifying");
        let probabilities = class_probabilities(classifier, &made.folder, made.orders, &mut task);
        let probabilities = pollster::block_on(probabilities)?;
        let at = |&rate: &f64| {
            let numbers = accepted(made.orders, &probabilities, rate)?;
            let files: BTreeSet<PathBuf> =
                numbers.into_iter().map(|number| file(&made.folder, number)).collect();
            Ok((Some(rate), made.pictures()?.among(&files)))
        };
        self.acceptance.iter().map(at).collect()
    }
}

impl Setting for Measurement {
    const COMMAND: &'static str = "samples";
    type Sums = Sums;

    fn result(&self, Sums { reference, sets }: Sums) -> Result<(Value, String)> {
        let (reference, reference_pictures) = reference.statistics()?;
        let row = |(set, SetSums { seen, scores }): (&Set, SetSums)| {
            Ok(Row {
                settings: set.settings.clone(),
                accepted: set.accepted,
                pictures: seen.pictures,
                inception_score: seen.sums.score()?,
                fid: reference.distance(&seen.sums.statistics()?)?,
                clip_score: scores.map(ClipScores::of).transpose()?.map(|scores| scores.clip_score),
            })
        };
        let rows = self.sets.iter().zip(sets).map(row).collect::<Result<Vec<Row>>>()?;
        let resolution = Some(self.resolution);
        let protocol = Protocol::new(&self.inception, self.count, reference_pictures, resolution);
        let protocol = Protocol { framing: self.framing, ..protocol };
        let value = json!({
            "rows": rows, "protocol": protocol, "model": self.model, "rqvae": self.rqvae,
            "seed": self.seed, "split": self.split,
        });
        Ok((value, format!("{}\n{}", table(&rows), protocol_lines(&protocol))))
    }
}

/// SHA-256 of what `orders` ask for.
fn hash(orders: &[Order]) -> String {
    let asked: Vec<_> = orders.iter().map(|order| (&order.given.condition, &order.images)).collect();
    sha256(json!(asked).to_string().as_bytes())
}

/// The samples of one setting.
struct Made<'a> {
    folder: PathBuf,
    orders: &'a [Order],
    /// Number of pictures in a batch.
    batch: usize,
}

impl Made<'_> {
    /// All its pictures.
    fn pictures(&self) -> Result<Pictures> {
        Pictures::sampled(&self.folder, self.orders, self.batch)
    }
}

/// The judge of samples other than Inception.
enum Others {
    Clip(Box<Clip>),
    Classifier(Box<ResNet>),
    None,
}

impl Others {
    /// How well the samples of a part match their captions, if CLIP judges them.
    fn scores(
        &self,
        made: &Made,
        own: &OwnPart,
        console: &Console,
    ) -> Result<Option<Tally<BTreeMap<u32, Scored>>>> {
        let Self::Clip(clip) = self else { return Ok(None) };
        let (mut pictures, mut task) = (made.pictures()?.only(own.part), console.task("scoring"));
        pollster::block_on(clip_scores(clip, &mut pictures, &mut task)).map(Some)
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
