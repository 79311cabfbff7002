//! Training speed of both stages of emoji-64, on noise.

use burn::tensor::Device;
use serde::Serialize;
use web_time::Instant;

use super::SEED;
use residua_assets::{EMOJI_64_STAGE_1_CONFIG, EMOJI_64_STAGE_2_CONFIG};
use residua_core::config::{Config, ModelConfig};
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_kernels::noise;
use residua_train::config::TrainConfig;
use residua_train::data::Loaded;
use residua_train::rqvae::TrainedRqVae;
use residua_train::stage1::Stage1Training;
use residua_train::stage2::Stage2Training;
use residua_train::trainee::Trainee;

/// Training speed of a stage.
#[derive(Clone, Debug, Serialize)]
pub struct TrainSpeed {
    /// `rqvae` or `rqtransformer`.
    pub stage: &'static str,
    /// Images in a step.
    pub batch: usize,
    /// Median milliseconds per step.
    pub ms: f64,
    /// Images per second.
    pub images_per_second: f64,
}

/// Trains both stages for `runs` steps of `batch` images each, after one warm-up step.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn train(batch: usize, runs: usize, device: &Device, task: &mut Task<'_>) -> Result<Vec<TrainSpeed>> {
    let (stage1, train1) = read(EMOJI_64_STAGE_1_CONFIG)?;
    let (stage2, train2) = read(EMOJI_64_STAGE_2_CONFIG)?;
    let (ModelConfig::RqVae(stage1), ModelConfig::RqTransformer(stage2)) = (stage1.model, stage2.model)
    else {
        return Err(Error::invalid("expected an RQ-VAE and an RQ-Transformer, found other models"));
    };
    let rqvae = TrainedRqVae::initial(&stage1, SEED, device)?.plain()?;
    let side = stage1.ddconfig.resolution;
    let images = Loaded {
        images: noise([batch, stage1.ddconfig.in_channels, side, side], SEED, device),
        indices: (0..batch).collect(),
        variations: vec![0; batch],
        classes: vec![0; batch],
        captions: Vec::new(),
    };
    let mut first = Stage1Training::begin(&stage1, &train1, SEED, device)?;
    let mut second = Stage2Training::begin(&stage2, &train2, rqvae, None, SEED, device)?;
    let stages: [(&str, &mut dyn Trainee); 2] = [("rqvae", &mut first), ("rqtransformer", &mut second)];
    let mut speeds = Vec::new();
    for (i, (stage, trainee)) in stages.into_iter().enumerate() {
        let mut times = Vec::with_capacity(runs);
        for run in 0..=runs {
            task.report(i * (runs + 1) + run, 2 * (runs + 1));
            task.check()?;
            let begun = Instant::now();
            // A step reads its measurements back from the device, so no work is left after it.
            trainee.step(std::slice::from_ref(&images), run as u64, 1e-4)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let ms = super::median(times.split_off(1));
        speeds.push(TrainSpeed { stage, batch, ms, images_per_second: batch as f64 / ms * 1e3 });
    }
    Ok(speeds)
}

fn read(text: &str) -> Result<(Config, TrainConfig)> {
    let config = Config::parse("emoji-64", text)?;
    let train = TrainConfig::of("emoji-64", &config)?;
    Ok((config, train))
}
