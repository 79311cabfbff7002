//! `residua bench`: timings of the published models' shapes on this machine.

use clap::Args;
use serde_json::json;

use super::options::DeviceArguments;
use super::output::Console;
use super::studio;
use super::words::{PRECISIONS, one_of};
use residua_core::config::preset::{PRESETS, Preset};
use residua_core::config::{Precision, StateKind};
use residua_core::error::{Error, Result};
use residua_core::text::size;
use residua_engine::Stage2;
use residua_engine::bench::{
    Bench as Measured, Brushed, Compared, Drafted, Kernel, Plan, RankSpeed, Settings, TrainSpeed, bench,
    brush, compare, drafting, kernels, plan, plan_preset, train,
};
use residua_kernels::device::{DeviceChoice, open};
use residua_protocol::Options;

/// Images per training step to time, as in the configuration of stage 1.
const TRAINED: usize = 16;

/// Time encoding, quantization, sampling and decoding with random weights of a published shape.
#[derive(Args)]
pub struct Bench {
    /// Published shape of model to time; --list shows them all.
    #[arg(long, default_value = "ffhq-355m")]
    preset: String,
    /// List the presets.
    #[arg(long, conflicts_with_all = ["preset", "batch", "runs", "compare", "drafting", "kernels", "studio", "train", "plan", "model", "precision", "f32", "device", "gpu_kernels"])]
    list: bool,
    /// Batch size in images; several values, separated by commas, are timed in turn, except with --train.
    /// [default: 1; with --train: 16]
    #[arg(long, value_delimiter = ',', value_name = "B[,B..]")]
    batch: Vec<usize>,
    /// Number of timed runs, after one warm-up run.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Compare the preset with a 16x16x1 transformer of the same size (figure 4 of the paper).
    #[arg(long)]
    compare: bool,
    /// Compare draft-and-revise, by a contextual transformer of the preset's shape, with sampling cell by
    /// cell.
    #[arg(long, conflicts_with = "compare")]
    drafting: bool,
    /// Compare each hand-written kernel, or those with NAME in their name, with Burn's own operations at the
    /// published shapes.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["compare", "drafting", "gpu_kernels", "preset", "batch", "precision", "f32"])]
    kernels: Option<String>,
    /// Time the studio's frames with a 16x16x8 stack open.
    #[arg(long, conflicts_with_all = ["compare", "drafting", "kernels", "preset", "batch", "runs", "precision", "f32", "device", "gpu_kernels"])]
    studio: bool,
    /// Time the studio's brush: from its release over 1, 4, 16 and 64 cells to the picture that the bundled
    /// contextual model revised.
    #[arg(long, conflicts_with_all = ["list", "compare", "drafting", "kernels", "studio", "train", "preset", "batch", "precision", "f32"])]
    brush: bool,
    /// Time training steps of both stages of characters-128 (stage 2 autoregressive); under mpirun, with a --batch of
    /// images for each rank.
    #[arg(long, conflicts_with_all = ["compare", "drafting", "kernels", "studio", "preset", "precision", "f32"])]
    train: bool,
    /// List the kernels that sample one cell on a GPU, with their workgroups and bytes, and the least time that some
    /// GPUs need to read the weights. Runs no kernel, so any adapter will do.
    #[arg(long, conflicts_with_all = ["brush", "compare", "drafting", "kernels", "studio", "train", "runs", "device", "gpu_kernels"])]
    plan: bool,
    /// Model to plan instead of a preset: a bundled name, a folder or a file, as for `sample`.
    #[arg(long, value_name = "NAME|PATH", conflicts_with = "preset")]
    model: Option<String>,
    /// Precision of the transformer's weights in memory; stored is f32, the type of the random weights.
    #[arg(long, value_parser = one_of(PRECISIONS), default_value = "f16")]
    precision: Precision,
    /// Same as --precision stored.
    #[arg(long, conflicts_with = "precision")]
    f32: bool,
    #[command(flatten)]
    device: DeviceArguments,
}

impl Bench {
    /// Whether several ranks can do it together.
    pub fn is_shared(&self) -> bool {
        self.train
    }

    /// Prints the medians.
    pub fn run(&self, console: &Console) -> Result<()> {
        if self.list {
            return list(console);
        }
        if self.runs == 0 || self.batch.iter().any(|&batch| batch == 0 || batch > 1024) {
            return Err(Error::usage("expected at least one run, and batches of 1 to 1024"));
        }
        if self.model.is_some() && !self.plan {
            return Err(Error::usage("--model needs --plan"));
        }
        if self.train && self.batch.len() > 1 {
            return Err(Error::usage("--train takes one --batch"));
        }
        if self.studio {
            return studio::time(console);
        }
        let preset = Preset::find(&self.preset)?;
        if self.plan {
            let plans = self.plans(preset, console)?;
            let text: Vec<String> = plans.iter().map(planned).collect();
            return console.result(json!(plans), &text.join("\n\n"));
        }
        let device = self.device.open()?;
        if let Some(name) = &self.kernels {
            let measured = kernels(name, self.runs, &device, &mut console.task("measuring"))?;
            return console.result(json!(measured), &against_burn(&measured));
        }
        if self.brush {
            let measured = brush(self.runs, &device, &mut console.task("measuring"))?;
            return console.result(json!(measured), &of_brush(&measured));
        }
        if self.train {
            let (batch, world) = (self.batches(TRAINED)[0], console.world());
            let measured = train(batch, self.runs, &device, world, &mut console.task("measuring"))?;
            return console.result(json!(measured), &of_training(&measured));
        }
        let precision = self.precision();
        let batches = self.batches(1);
        let settings = |batch| Settings { batch, runs: self.runs, precision };
        let mut task = console.task("measuring");
        if self.compare {
            let points = compare(preset, &batches, settings(1), &device, &mut task)?;
            return console
                .result(json!({"preset": preset.name, "points": points}), &compared(preset, &points));
        }
        if self.drafting {
            let rows = drafting(preset, &batches, settings(1), &device, &mut task)?;
            return console.result(json!({"preset": preset.name, "rows": rows}), &drafted(preset, &rows));
        }
        let mut measured = Vec::new();
        for batch in batches {
            measured.push(bench(preset, settings(batch), &device, &mut task)?);
        }
        let text: Vec<String> = measured.iter().map(text).collect();
        console.result(json!(measured), &text.join("\n\n"))
    }

    fn precision(&self) -> Precision {
        if self.f32 { Precision::Stored } else { self.precision }
    }

    /// A plan for each batch size, of the model if one is given, else of `preset`.
    fn plans(&self, preset: &Preset, console: &Console) -> Result<Vec<Plan>> {
        let (device, batches) = (open(DeviceChoice::Gpu)?, self.batches(1));
        let Some(model) = &self.model else {
            return plan_preset(preset, &batches, self.precision(), &device);
        };
        let options = Options {
            model: model.clone(),
            rqvae: None,
            state: StateKind::Auto,
            precision: self.precision(),
        };
        let stage2 = Stage2::load(&options, &device, &mut console.task("loading"))?;
        batches.iter().map(|&batch| plan(model, &stage2.model, batch)).collect()
    }

    /// The batch sizes that are given, else the `usual` one.
    fn batches(&self, usual: usize) -> Vec<usize> {
        if self.batch.is_empty() { vec![usual] } else { self.batch.clone() }
    }
}

fn of_brush(regions: &[Brushed]) -> String {
    let line = |Brushed { cells, ms }: &Brushed| format!("{cells:>5} {ms:>8.1}");
    std::iter::once("cells       ms".to_string())
        .chain(regions.iter().map(line))
        .collect::<Vec<_>>()
        .join("\n")
}

fn of_training(speeds: &[TrainSpeed]) -> String {
    let line = |speed: &TrainSpeed| {
        let TrainSpeed { stage, batch, ms, images_per_second, ranks } = speed;
        let whole =
            format!("{stage:<14} batch {batch}: {ms:>8.1} ms a step, {images_per_second:>6.1} images/s");
        std::iter::once(whole).chain(ranks.iter().enumerate().map(of_rank)).collect::<Vec<_>>()
    };
    speeds.iter().flat_map(line).collect::<Vec<_>>().join("\n")
}

fn of_rank((rank, speed): (usize, &RankSpeed)) -> String {
    let RankSpeed { images_per_second, waiting } = speed;
    format!(
        "  rank {rank:<3} {images_per_second:>8.1} images/s when it computes, {:>3.0} % waiting",
        waiting * 100.0
    )
}

fn list(console: &Console) -> Result<()> {
    let names: Vec<String> =
        PRESETS.iter().map(|preset| format!("{:<15} {}", preset.name, preset.about)).collect();
    let values: Vec<_> =
        PRESETS.iter().map(|preset| json!({"name": preset.name, "about": preset.about})).collect();
    console.result(json!(values), &names.join("\n"))
}

fn text(bench: &Measured) -> String {
    let mut lines = vec![format!(
        "{} ({:.1}M parameters, {}) on the {}, batch {}, median of {}",
        bench.preset,
        bench.parameters as f64 / 1e6,
        match bench.precision {
            Precision::Stored => "f32 weights",
            Precision::F16 => "f16 weights",
            Precision::Q8 => "q8 weights",
        },
        bench.device,
        bench.batch,
        bench.runs
    )];
    for measure in &bench.stages {
        let indent = if ["body", "head", "sampling"].contains(&measure.stage) { "  " } else { "" };
        let peak = measure.peak_bytes.map_or_else(String::new, |bytes| format!("  peak {}", size(bytes)));
        lines.push(format!("{:<12} {:>10.1} ms{peak}", format!("{indent}{}", measure.stage), measure.ms));
    }
    lines.join("\n")
}

fn compared(preset: &Preset, points: &[Compared]) -> String {
    let mut lines = vec![format!("batch  16x16x1 ms/image  {} ms/image  faster", preset.name)];
    lines.extend(points.iter().map(|point| {
        format!("{:>5}  {:>16.1}  {:>18.1}  {:>5.2}x", point.batch, point.vqgan_ms, point.rq_ms, point.ratio)
    }));
    lines.join("\n")
}

fn drafted(preset: &Preset, rows: &[Drafted]) -> String {
    let mut lines = vec![format!("{:<26} batch  passes  s/picture", preset.name)];
    lines.extend(rows.iter().map(|row| {
        let way = match (row.draft, &row.revise) {
            (Some(draft), Some(revise)) => format!("--draft {draft} --revise {revise}"),
            _ => "cell by cell".into(),
        };
        format!("{way:<26} {:>5}  {:>6}  {:>9.3}", row.batch, row.passes, row.seconds)
    }));
    lines.join("\n")
}

fn planned(plan: &Plan) -> String {
    let Plan { model, batch, cell, kernels, launches, weights, values, floors } = plan;
    let mut lines = vec![
        format!("{model}, batch {batch}, cell {cell}"),
        format!(
            "{:<18} {:>8} {:>10} {:>7} {:>12} {:>12}",
            "kernel", "launches", "workgroups", "threads", "weights", "values"
        ),
    ];
    lines.extend(kernels.iter().map(|one| {
        let [weights, values] = [one.weights, one.values].map(size);
        format!(
            "{:<18} {:>8} {:>10} {:>7} {weights:>12} {values:>12}",
            one.kernel, one.launches, one.workgroups, one.threads
        )
    }));
    let [weights, values] = [*weights, *values].map(size);
    lines.push(format!("{:<18} {launches:>8} {:>10} {:>7} {weights:>12} {values:>12}", "all", "", ""));
    lines.extend(floors.iter().map(|floor| {
        let (adapter, rate) = (floor.adapter, floor.gigabytes_per_second);
        format!("weights take at least {:.1} ms at {rate:.0} GB/s ({adapter})", floor.ms)
    }));
    lines.join("\n")
}

fn against_burn(kernels: &[Kernel]) -> String {
    let mut lines = vec![format!(
        "{:<16} {:<35} {:>5} {:>10} {:>10} {:>8} {:>8}",
        "kernel", "shape", "times", "ms", "Burn's ms", "faster", "rate"
    )];
    lines.extend(kernels.iter().map(|kernel| {
        let Kernel { kernel, shape, count, ms, burn_ms, ratio, rate, unit } = kernel;
        let count = if *count > 0 { count.to_string() } else { String::new() };
        format!(
            "{kernel:<16} {shape:<35} {count:>5} {ms:>10.2} {burn_ms:>10.2} {ratio:>7.2}x {rate:>8.2} {unit}"
        )
    }));
    lines.join("\n")
}
