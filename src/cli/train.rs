//! `residua train`: both stages, from pictures.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::options::DeviceArguments;
use super::output::{Console, shown};
use crate::engine::train::{Begun, HELD_OUT_LOSS, TrainOptions, train};
use crate::error::Result;

/// Train a model on a folder of pictures.
#[derive(Args)]
pub struct Train {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Subcommand)]
enum Stage {
    /// Stage 1: pictures to code stacks and back.
    Rqvae(WithLpips),
    /// Stage 2: the distribution of code stacks.
    Rqtransformer(WithRqVae),
}

#[derive(Args)]
struct WithLpips {
    #[command(flatten)]
    common: Common,
    /// Weights of LPIPS, for the perceptual loss: a file with both network and layers, or `--lpips` twice, with torchvision's
    /// vgg16 and the lpips package's vgg.pth. A run that goes on knows where they are.
    #[arg(long, value_name = "FILE")]
    lpips: Vec<PathBuf>,
}

#[derive(Args)]
struct WithRqVae {
    #[command(flatten)]
    common: Common,
    /// The RQ-VAE whose codes are learned: a path, or a bundled model. A run that goes on has kept its own.
    #[arg(long, value_name = "PATH|NAME", required_unless_present = "resume")]
    rqvae: Option<String>,
    /// Encode the pictures once, into this file, and learn from it; a file that is there already is used.
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Variations of each picture that the cache has. [default: 8]
    #[arg(long, value_name = "N", requires = "cache", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    variations: Option<u32>,
}

#[derive(Args)]
struct Common {
    /// The configuration, with the published keys. A run that goes on has its own, which this one may not contradict.
    config: PathBuf,
    /// The folder of pictures; folders in it are classes; captions are in captions.tsv, metadata.jsonl, metadata.csv, or a text
    /// beside each picture.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The folder of the run.
    #[arg(long, short, default_value = "run", value_name = "FOLDER")]
    out: PathBuf,
    /// Begin with the weights of this model, as far as it has them in the shapes of the configuration: a path, or a bundled
    /// model.
    #[arg(long, value_name = "PATH|NAME", conflicts_with = "resume")]
    from: Option<String>,
    /// Begin these anew, though that model has them: tensors of which the names start so, such as quantizer for the codebooks.
    #[arg(long, value_name = "NAME", requires = "from", conflicts_with = "resume")]
    anew: Vec<String>,
    /// Go on with the run in that folder, on the same pictures, as it was begun.
    #[arg(long)]
    resume: bool,
    /// Steps in all, instead of the configuration's epochs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Steps from one checkpoint to the next. [default: the configuration's save_ckpt_freq, else one epoch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    save_every: Option<u64>,
    /// Steps from one measurement on the held-out pictures to the next. [default: the configuration's test_freq, else after the
    /// first epoch and every ten]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    test_every: Option<u64>,
    /// Steps from one sheet of held-out pictures to the next. [default: one epoch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sheet_every: Option<u64>,
    /// Learn from the pictures that are held out, too.
    #[arg(long)]
    all: bool,
    /// Learn from pictures without a class or caption, too, though the model is given one: as of the first class, or with an
    /// empty caption.
    #[arg(long)]
    unlabelled: bool,
    /// Determines first weights, order and variations. [default: 0]
    #[arg(long)]
    seed: Option<u32>,
    #[command(flatten)]
    device: DeviceArguments,
}

impl Train {
    /// Trains until the steps are taken; on Ctrl-C, writes a checkpoint and ends.
    pub fn run(&self, console: &Console) -> Result<()> {
        let common = match &self.stage {
            Stage::Rqvae(WithLpips { common, .. }) | Stage::Rqtransformer(WithRqVae { common, .. }) => common,
        };
        let (rqvae, lpips, cache, variations) = match &self.stage {
            Stage::Rqvae(WithLpips { lpips, .. }) => (None, lpips.clone(), None, None),
            Stage::Rqtransformer(WithRqVae { rqvae, cache, variations, .. }) => {
                (rqvae.clone(), Vec::new(), cache.clone(), *variations)
            }
        };
        let options = TrainOptions {
            config: common.config.clone(),
            data: common.data.clone(),
            out: common.out.clone(),
            rqvae,
            lpips,
            cache,
            variations,
            from: common.from.clone(),
            anew: common.anew.clone(),
            resume: common.resume,
            steps: common.steps,
            save_every: common.save_every,
            sheet_every: common.sheet_every,
            test_every: common.test_every,
            all: common.all,
            unlabelled: common.unlabelled,
            seed: common.seed,
        };
        let device = common.device.open()?;
        let (mut progress, mut task) = console.training();
        let mut last = json!({});
        let begin = |begun: &Begun| {
            console.note(&format!(
                "{} pictures, {} held out; step {} of {}",
                begun.pictures, begun.held_out, begun.begun, begun.steps
            ));
            begun.notes.iter().for_each(|note| console.note(note));
        };
        let mut held_out = None;
        let checkpoint = train(&options, &device, &mut task, begin, |told| {
            let loss = told.measured.get("loss").unwrap_or(f64::NAN);
            held_out = told.measured.get(HELD_OUT_LOSS).or(held_out);
            let unseen = held_out.map(|loss| format!(" (held out {loss:.4})")).unwrap_or_default();
            progress.tell(told.steps, &format!("loss {loss:.4}{unseen}, {:.1} images/s", told.speed));
            last = json!({
                "steps": told.steps, "loss": loss, "held_out_loss": held_out, "images_per_second": told.speed,
            });
        })?;
        last["checkpoint"] = json!(shown(&checkpoint));
        console.result(last, &format!("trained: {}", checkpoint.display()))
    }
}
