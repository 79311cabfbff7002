//! Timings of the published models' shapes, with random weights.

mod brush;
mod drafting;
mod kernels;
mod plan;
mod stages;
mod train;
mod tune;

use burn::tensor::Device;
use serde::Serialize;

pub use brush::{Brushed, brush};
pub use drafting::{Drafted, drafting};
pub use kernels::{Kernel, kernels};
pub use plan::{Floor, Plan, Planned, plan, plan_preset};
use residua_core::config::Precision;
use residua_core::config::preset::Preset;
use residua_core::error::Result;
use residua_core::task::Task;
use residua_model::{Loader, RqTransformer, RqVae};
use stages::Sampled;
pub use train::{RankSpeed, TrainSpeed, train};
pub use tune::tune_preset;

/// Seed of weights, images and sampling.
const SEED: u32 = 1;

/// One stage of the work: the median of its runs.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// What was done.
    pub stage: &'static str,
    /// Milliseconds for the whole batch.
    pub ms: f64,
    /// Peak resident memory of the process meanwhile, in bytes; `None` if the system does not report it.
    pub peak_bytes: Option<u64>,
}

/// The measurements, and how they were made.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    /// The preset.
    pub preset: &'static str,
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// Precision of the transformer's weights; random ones are made in f32.
    pub precision: Precision,
    /// Batch size in images.
    pub batch: usize,
    /// Timed runs, after one warm-up run.
    pub runs: usize,
    /// Parameters of the transformer.
    pub parameters: usize,
    /// Encode, quantize, sample (the total and its three parts), decode.
    pub stages: Vec<Measure>,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Batch size in images.
    pub batch: usize,
    /// Timed runs, after one warm-up run.
    pub runs: usize,
    /// Precision of the transformer's weights.
    pub precision: Precision,
}

/// Measures encoding, quantization, sampling and decoding of `preset`.
pub fn bench(preset: &Preset, settings: Settings, device: &Device, task: &mut Task) -> Result<Bench> {
    let mut loader = Loader::random(SEED, device, Precision::Stored);
    let rqvae = RqVae::load(&mut loader, &preset.rqvae()?)?;
    let (transformer, parameters) = transformer(preset, &rqvae, settings.precision, device)?;
    let steps = settings.runs + 1;
    let mut runs = Vec::with_capacity(settings.runs);
    for run in 0..steps {
        task.check()?;
        let mut measures = stages::autoencoder(&rqvae, settings.batch, device)?;
        let Sampled { measures: sampled, .. } = stages::sample(&transformer, settings.batch, task)?;
        measures.splice(2..2, sampled);
        if run > 0 {
            runs.push(measures);
        }
        task.report(run + 1, steps);
    }
    Ok(Bench {
        preset: preset.name,
        device: residua_kernels::device::kind(device),
        precision: settings.precision,
        batch: settings.batch,
        runs: settings.runs,
        parameters,
        stages: medians(&runs),
    })
}

/// One point of the paper's figure 4.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Batch size in images.
    pub batch: usize,
    /// Milliseconds per image of the 16x16x1 transformer.
    pub vqgan_ms: f64,
    /// Milliseconds per image of the `preset`.
    pub rq_ms: f64,
    /// How many times faster the second is.
    pub ratio: f64,
}

/// The paper's figure 4: `preset` against a 16x16x1 transformer of the same size, at several batch sizes.
pub fn compare(
    preset: &Preset,
    batches: &[usize],
    settings: Settings,
    device: &Device,
    task: &mut Task,
) -> Result<Vec<Compared>> {
    let vqgan = preset.vqgan();
    let mut times = Vec::new();
    let total = 2 * batches.len();
    for preset in [&vqgan, preset] {
        let mut loader = Loader::random(SEED, device, Precision::Stored);
        let rqvae = RqVae::load(&mut loader, &preset.rqvae()?)?;
        let (model, _) = transformer(preset, &rqvae, settings.precision, device)?;
        drop(rqvae);
        for &batch in batches {
            let mut runs = Vec::new();
            for run in 0..=settings.runs {
                task.check()?;
                let sampled = stages::sample(&model, batch, task)?;
                if run > 0 {
                    runs.push(sampled.ms / batch as f64);
                }
            }
            times.push(median(runs));
            task.report(times.len(), total);
        }
    }
    let (vqgan, rq) = times.split_at(batches.len());
    let points = batches.iter().zip(vqgan.iter().zip(rq));
    Ok(points
        .map(|(&batch, (&vqgan_ms, &rq_ms))| Compared { batch, vqgan_ms, rq_ms, ratio: vqgan_ms / rq_ms })
        .collect())
}

fn transformer(
    preset: &Preset,
    rqvae: &RqVae,
    precision: Precision,
    device: &Device,
) -> Result<(RqTransformer, usize)> {
    let mut loader = Loader::random(SEED, device, precision);
    let codebooks = &rqvae.quantizer.codebooks;
    let model = RqTransformer::load(&mut loader, &preset.rqtransformer()?, Some(codebooks))?;
    let parameters = loader.finish()?.iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum();
    Ok((model, parameters))
}

/// The median time and the largest memory of each stage.
fn medians(runs: &[Vec<Measure>]) -> Vec<Measure> {
    let Some(first) = runs.first() else { return Vec::new() };
    (0..first.len())
        .map(|i| Measure {
            stage: first[i].stage,
            ms: median(runs.iter().map(|run| run[i].ms).collect()),
            peak_bytes: runs.iter().filter_map(|run| run[i].peak_bytes).max(),
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiny_preset_runs_through_every_stage() {
        let settings = Settings { batch: 2, runs: 1, precision: Precision::Q8 };
        let preset = Preset::find("tiny").expect("tiny");
        let bench =
            bench(preset, settings, &residua_kernels::device::cpu(), &mut Task::unwatched()).expect("runs");
        let stages: Vec<&str> = bench.stages.iter().map(|measure| measure.stage).collect();
        assert_eq!(stages, ["encode", "quantize", "sample", "body", "head", "sampling", "decode"]);
        assert!(bench.stages.iter().all(|measure| measure.ms > 0.0), "{bench:?}");
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
