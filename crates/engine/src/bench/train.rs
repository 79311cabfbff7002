//! Training speed of both stages of characters-128, on noise, by one process or by ranks together.

use burn::tensor::Device;
use serde::Serialize;
use web_time::Instant;

use super::SEED;
use residua_assets::{CHARACTERS_128_AUTOREGRESSIVE_CONFIG, CHARACTERS_128_STAGE_1_CONFIG};
use residua_core::config::{Config, ModelConfig};
use residua_core::error::{Error, Result};
use residua_core::ranks::World;
use residua_core::task::Task;
use residua_io::assets::bundled::BUNDLED;
use residua_kernels::noise;
use residua_protocol::condition::tokenizer;
use residua_train::config::TrainConfig;
use residua_train::data::Loaded;
use residua_train::rank_share::RankShare;
use residua_train::rqvae::TrainedRqVae;
use residua_train::stage1::Stage1Training;
use residua_train::stage2::Stage2Training;
use residua_train::trainee::Trainee;

/// Training speed of a stage.
#[derive(Clone, Debug, Serialize)]
pub struct TrainSpeed {
    /// `rqvae` or `rqtransformer`.
    pub stage: &'static str,
    /// Images in a step, of all ranks together.
    pub batch: usize,
    /// Median milliseconds per step.
    pub ms: f64,
    /// Images per second.
    pub images_per_second: f64,
    /// The speed of each rank, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<RankSpeed>,
}

/// Training speed of a rank.
#[derive(Clone, Debug, Serialize)]
pub struct RankSpeed {
    /// Images per second that it would reach if it never waited.
    pub images_per_second: f64,
    /// The fraction of its time that it spends waiting for others and for their numbers.
    pub waiting: f64,
}

/// Trains both stages for `runs` steps, after one warm-up step, in which each rank of `world` has `batch` images.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn train(
    batch: usize,
    runs: usize,
    device: &Device,
    world: &World,
    task: &mut Task<'_>,
) -> Result<Vec<TrainSpeed>> {
    let (stage1, train1) = read(CHARACTERS_128_STAGE_1_CONFIG)?;
    let (stage2, train2) = read(CHARACTERS_128_AUTOREGRESSIVE_CONFIG)?;
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
        captions: vec![BUNDLED[0].caption.into(); batch],
    };
    let mut first = Stage1Training::begin(&stage1, &train1, SEED, device)?;
    let mut second = Stage2Training::begin(&stage2, &train2, rqvae, tokenizer(&stage2)?, SEED, device)?;
    let stages: [(&str, &mut dyn Trainee); 2] = [("rqvae", &mut first), ("rqtransformer", &mut second)];
    let mut speeds = Vec::new();
    let batch_of_all = batch * world.size();
    let share = RankShare::new(world.clone(), 1, batch_of_all, true)?;
    for (i, (stage, trainee)) in stages.into_iter().enumerate() {
        trainee.learn_only(share.clone());
        let (mut times, mut waited) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
        for run in 0..=runs {
            task.report(i * (runs + 1) + run, 2 * (runs + 1));
            if world.any(task.is_stopped()) {
                return Err(Error::Cancelled);
            }
            let (begun, before) = (Instant::now(), world.waited());
            // A step reads its measurements back from the device, so no work is left after it.
            trainee.step(std::slice::from_ref(&images), run as u64, 1e-4)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            waited.push((world.waited() - before).as_secs_f64() * 1e3);
        }
        let [ms, waited] = [times, waited].map(|mut all| super::median(all.split_off(1)));
        speeds.push(TrainSpeed {
            stage,
            batch: batch_of_all,
            ms,
            images_per_second: batch_of_all as f64 / ms * 1e3,
            ranks: of_ranks(world, batch, ms, waited),
        });
    }
    Ok(speeds)
}

/// The speed of each rank, if there are several; this one takes `ms` for a step of its `batch` images, and waits for
/// `waited` ms of these.
fn of_ranks(world: &World, batch: usize, ms: f64, waited: f64) -> Vec<RankSpeed> {
    if world.is_alone() {
        return Vec::new();
    }
    let mut all = vec![0.0; 2 * world.size()];
    all[2 * world.rank()..][..2].copy_from_slice(&[batch as f64 / (ms - waited) * 1e3, waited / ms]);
    world.sum_f64(&mut all);
    let speed = |&[images_per_second, waiting]: &[f64; 2]| RankSpeed { images_per_second, waiting };
    all.as_chunks::<2>().0.iter().map(speed).collect()
}

fn read(text: &str) -> Result<(Config, TrainConfig)> {
    let config = Config::parse("characters-128", text)?;
    let train = TrainConfig::of("characters-128", &config)?;
    Ok((config, train))
}
