//! `residua train`: trains either stage on pictures.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::options::DeviceArguments;
use super::output::{Console, shown};
use residua_core::error::{Error, Result};
use residua_core::text::counted;
use residua_engine::train::{Begun, HELD_OUT, HELD_OUT_LOSS, Told, TrainOptions, train_shared};

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
    /// LPIPS weights for the perceptual loss: one file with both network and layers, or `--lpips` twice, with
    /// torchvision's vgg16 and the lpips package's vgg.pth. A resumed run remembers them.
    #[arg(long, value_name = "FILE")]
    lpips: Vec<PathBuf>,
}

#[derive(Args)]
struct WithRqVae {
    #[command(flatten)]
    common: Common,
    /// RQ-VAE whose codes the transformer learns: a path or a bundled model. A resumed run keeps its own.
    #[arg(long, value_name = "PATH|NAME", required_unless_present = "resume")]
    rqvae: Option<String>,
    /// Encode the pictures once into this file and train from it; an existing file is reused. [default:
    /// encode them in every step]
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Number of augmented variations of each picture in the cache. [default: 8]
    #[arg(long, value_name = "N", requires = "cache", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    variations: Option<u32>,
    /// Train on pictures without a class or caption, too, even though the model takes one: as the first class,
    /// or with an empty caption.
    #[arg(long)]
    unlabelled: bool,
}

#[derive(Args)]
struct Common {
    /// Configuration file with the published keys; `-` reads standard input. A resumed run keeps its own, which
    /// this one must not contradict.
    config: PathBuf,
    /// Folder of pictures. Its subfolders are classes; captions come from captions.tsv, metadata.jsonl,
    /// metadata.csv, or a text file next to each picture.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Folder of the run, for its checkpoints and metrics.
    #[arg(long, short, default_value = "run", value_name = "FOLDER")]
    out: PathBuf,
    /// Start from the weights of this model, a path or a bundled model, where their shapes fit the
    /// configuration. [default: random weights]
    #[arg(long, value_name = "PATH|NAME", conflicts_with = "resume")]
    from: Option<String>,
    /// With --from: initialize the tensors whose names start with NAME from scratch, such as quantizer for
    /// the codebooks. Can be given more than once.
    #[arg(long, value_name = "NAME", requires = "from", conflicts_with = "resume")]
    reinitialize: Vec<String>,
    /// Resume the run in --out, on the same pictures and with its own settings.
    #[arg(long)]
    resume: bool,
    /// Total number of steps. [default: the configuration's epochs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Steps between checkpoints. [default: the configuration's save_ckpt_freq, else one epoch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    save_every: Option<u64>,
    /// Steps between measurements on the held-out pictures. [default: the configuration's test_freq, else
    /// after the first epoch and every ten epochs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    test_every: Option<u64>,
    /// Steps between sheets of held-out pictures. [default: one epoch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sheet_every: Option<u64>,
    /// Train on the held-out pictures, too.
    #[arg(long)]
    all: bool,
    /// Random seed of initial weights, picture order and augmentation. [default: 0]
    #[arg(long)]
    seed: Option<u32>,
    #[command(flatten)]
    device: DeviceArguments,
}

impl Train {
    /// Trains until all steps are done; on Ctrl-C, writes a checkpoint and stops.
    pub fn run(&self, console: &Console) -> Result<()> {
        let common = match &self.stage {
            Stage::Rqvae(WithLpips { common, .. }) | Stage::Rqtransformer(WithRqVae { common, .. }) => common,
        };
        let (rqvae, lpips, cache, variations, unlabelled) = match &self.stage {
            Stage::Rqvae(WithLpips { lpips, .. }) => (None, lpips.clone(), None, None, false),
            Stage::Rqtransformer(WithRqVae { rqvae, cache, variations, unlabelled, .. }) => {
                (rqvae.clone(), Vec::new(), cache.clone(), *variations, *unlabelled)
            }
        };
        if common.out == Path::new("-") {
            return Err(Error::usage("--out: expected a folder for the run, found -, standard output"));
        }
        let options = TrainOptions {
            config: common.config.clone(),
            data: common.data.clone(),
            out: common.out.clone(),
            rqvae,
            lpips,
            cache,
            variations,
            from: common.from.clone(),
            reinitialize: common.reinitialize.clone(),
            resume: common.resume,
            steps: common.steps,
            save_every: common.save_every,
            sheet_every: common.sheet_every,
            test_every: common.test_every,
            all: common.all,
            unlabelled,
            seed: common.seed,
        };
        let device = common.device.open()?;
        let (mut progress, mut task) = console.training();
        let mut last = json!({});
        let begin = |begun: &Begun| {
            console.note(&format!(
                "{}, {} held out; step {} of {}",
                counted(begun.pictures, "picture"),
                begun.held_out,
                begun.begun,
                begun.steps
            ));
            begun.notes.iter().for_each(|note| console.note(note));
        };
        let (mut held_out, mut unseen) = (None, String::new());
        let checkpoint = train_shared(&options, &device, console.world(), &mut task, begin, |told| {
            let loss = told.measured.get("loss").unwrap_or(f64::NAN);
            held_out = told.measured.get(HELD_OUT_LOSS).or(held_out);
            if let Some(said) = on_held_out(told) {
                unseen = said;
            }
            let slow = told.slow.map_or_else(String::new, of_slow);
            progress.tell(told.steps, &format!("loss {loss:.4}{unseen}, {:.1} images/s{slow}", told.speed));
            last = json!({
                "steps": told.steps, "loss": loss, "held_out_loss": held_out, "images_per_second": told.speed,
            });
        })?;
        last["checkpoint"] = json!(shown(&checkpoint));
        console.result(last, &format!("trained: {}", checkpoint.display()))
    }
}

/// What the progress line says about a slow rank, which takes `times` as long as the others.
fn of_slow((rank, times): (usize, f64)) -> String {
    format!(", rank {rank} takes {times:.1} times as long as the others")
}

/// What the progress line says after an evaluation on held-out pictures.
fn on_held_out(told: &Told) -> Option<String> {
    let metric = |name: &str| told.measured.get(&format!("{HELD_OUT}{name}"));
    let loss = told.measured.get(HELD_OUT_LOSS)?;
    let psnr = metric("psnr").map(|psnr| format!(", PSNR {psnr:.2} dB"));
    let perplexity =
        metric("perplexity_at_depth_1").map(|codes| format!(", perplexity {codes:.1} at depth 1"));
    Some(format!(" (held out {loss:.4}{}{})", psnr.unwrap_or_default(), perplexity.unwrap_or_default()))
}
