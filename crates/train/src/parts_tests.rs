//! Gradient accumulation: without sampling and dropout, parts give the step of the whole batch; each part
//! samples its own.

use burn::tensor::{Device, Tensor};

use super::config::TrainConfig;
use super::data::Loaded;
use super::judges::{Judges, Length};
use super::rqvae::TrainedRqVae;
use super::run::Tensors;
use super::stage1::Stage1Training;
use super::stage2::Stage2Training;
use super::trainee::Trainee;
use residua_core::config::{Config, ModelConfig, RqTransformerConfig, RqVaeConfig};
use residua_core::error::{Error, Result};
use residua_testing::{assert_close, tensor};

/// Codebooks of two sizes.
const STAGE1: &str = "
arch:
  type: rq-vae
  hparams:
    bottleneck_type: rq
    embed_dim: 8
    n_embed: [6, 4]
    latent_shape: [4, 4, 8]
    code_shape: [4, 4, 2]
  ddconfig: {z_channels: 8, resolution: 8, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 1], num_res_blocks: 1}
";

const STAGE2: &str = "
dataset: {vocab_size: [6, 4]}
arch:
  type: rq-transformer
  block_size: [4, 4, 2]
  embed_dim: 16
  input_embed_dim: 8
  input_emb_vqvae: true
  head_emb_vqvae: true
  cumsum_depth_ctx: true
  vocab_size_cond: 2
  body: {n_layer: 1, block: {n_head: 2, resid_pdrop: RATE}}
  head: {n_layer: 1, block: {n_head: 2, resid_pdrop: RATE}}
optimizer: {type: sgd, init_lr: 0.1}
loss: {type: soft_target_cross_entropy, temp: 2.0, stochastic_codes: DRAWN}
";

fn rqvae() -> RqVaeConfig {
    match Config::parse("c", STAGE1).unwrap().model {
        ModelConfig::RqVae(config) => *config,
        ModelConfig::RqTransformer(_) => panic!("expected stage 1"),
    }
}

fn rqtransformer(rate: &str, drawn: &str) -> (RqTransformerConfig, TrainConfig) {
    let config = Config::parse("c", &STAGE2.replace("RATE", rate).replace("DRAWN", drawn)).unwrap();
    let train = TrainConfig::of("c", &config).unwrap();
    match config.model {
        ModelConfig::RqTransformer(config) => (*config, train),
        ModelConfig::RqVae(_) => panic!("expected stage 2"),
    }
}

fn batch(images: Tensor<4>) -> Loaded {
    let count = images.dims()[0];
    Loaded {
        images,
        indices: (0..count).collect(),
        variations: vec![0; count],
        classes: (0..count).map(|i| i % 2).collect(),
        captions: vec![String::new(); count],
    }
}

/// The weights after step `step` on `parts`, and the loss of that step.
fn after(rate: &str, drawn: &str, parts: &[Loaded], step: u64) -> (Vec<f32>, f64) {
    let device = Device::flex();
    let stage1 = TrainedRqVae::initial(&rqvae(), 3, &device).unwrap().plain().unwrap();
    let (config, train) = rqtransformer(rate, drawn);
    let mut training = Stage2Training::begin(&config, &train, stage1, None, 5, &device).unwrap();
    let loss = training.step(parts, step, 0.1).unwrap().get("loss").unwrap();
    (all(training.model()), loss)
}

fn all(tensors: Tensors) -> Vec<f32> {
    tensors.into_iter().flat_map(|(_, _, values)| values).collect()
}

/// Also covers soft targets and codebooks of two sizes.
#[test]
fn parts_have_the_gradient_of_the_whole_batch() {
    let images = tensor([4, 3, 8, 8], 7, &Device::flex());
    let part = |from: usize| batch(images.clone().slice([from..from + 2, 0..3, 0..8, 0..8]));
    let (whole, loss) = after("0.0", "false", &[batch(images.clone())], 0);
    let (parts, same) = after("0.0", "false", &[part(0), part(2)], 0);
    assert!(loss.is_finite() && (loss - same).abs() < 1e-5, "{loss} {same}");
    assert_close(&parts, &whole, 1e-5);
}

/// A step on two copies of a batch. If both shared codes and dropout, it would equal a step on one.
#[test]
fn parts_sample_their_own_codes_and_dropout() {
    let images = tensor([2, 3, 8, 8], 7, &Device::flex());
    for (rate, drawn) in [("0.3", "false"), ("0.0", "true")] {
        let step = |parts: usize, step: u64| after(rate, drawn, &vec![batch(images.clone()); parts], step);
        let (twice, _) = step(2, 3);
        // The two parts of step 3 are passes 6 and 7, like steps 6 and 7 of one part.
        let (six, seven) = (step(1, 6), step(1, 7));
        assert!(six.0 != seven.0 && twice != six.0 && twice != seven.0, "{rate} {drawn}");
        let mean: Vec<f32> = six.0.iter().zip(&seven.0).map(|(a, b)| (a + b) / 2.0).collect();
        assert_close(&twice, &mean, 1e-5);
        assert_eq!(twice, step(2, 3).0, "a step is determined by its number");
    }
}

/// So a run that is stopped within a step resumes at its beginning.
#[test]
fn a_step_that_is_stopped_between_two_parts_changes_nothing() {
    let device = Device::flex();
    let gan = "gan: {disc: {arch: {num_layers: 1, ndf: 4}}, loss: {perceptual_weight: 0}}";
    let train = TrainConfig::of("c", &Config::parse("c", &format!("{STAGE1}{gan}\n")).unwrap()).unwrap();
    let judges = Judges::begin(&train, None, 8, Length { per_epoch: 1, steps: 9 }, 3, &device).unwrap();
    let mut training = Stage1Training::begin(&rqvae(), &train, 3, &device).unwrap().judged_by(judges);
    let part = || -> Result<Loaded> { Ok(batch(tensor([2, 3, 8, 8], 7, &device))) };
    training.learn(&mut [part()].into_iter(), 0, 1e-3).unwrap();
    let state = |training: &Stage1Training| (training.model(), training.training());
    let before = state(&training);
    let stopped = training.learn(&mut [part(), Err(Error::Cancelled)].into_iter(), 1, 1e-3);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert!(state(&training) == before);
    training.learn(&mut [part(), part()].into_iter(), 1, 1e-3).unwrap();
    assert!(state(&training) != before);
}

/// `ddconfig.dropout`.
#[test]
fn stage_1_has_new_dropout_in_each_pass() {
    use residua_kernels::dropout::Noise;
    let device = Device::flex();
    let images = tensor([1, 3, 8, 8], 7, &device);
    let mut config = rqvae();
    let made = |config: &RqVaeConfig, pass: Option<u32>| {
        let mut model = TrainedRqVae::initial(config, 3, &device).unwrap();
        let noise = pass.map(|pass| Noise::new(1, pass));
        model.forward(images.clone(), noise).unwrap().losses()
    };
    assert_eq!(made(&config, Some(1)), made(&config, Some(2)), "no dropout by default");
    config.ddconfig.dropout = 0.4;
    assert_ne!(made(&config, Some(1)), made(&config, Some(2)));
    assert_ne!(made(&config, Some(1)), made(&config, None));
    assert_eq!(made(&config, Some(1)), made(&config, Some(1)));
}

/// `unquantized_rate`.
#[test]
fn some_training_pictures_are_decoded_from_their_latents() {
    use residua_kernels::{dropout::Noise, values};
    let device = Device::flex();
    let images = tensor([8, 3, 8, 8], 7, &device);
    let mut config = rqvae();
    config.hparams.unquantized_rate = 0.5;
    let mut training = TrainedRqVae::initial(&config, 3, &device).unwrap();
    let model = training.plain().unwrap();
    let latents = model.encode(images.clone());
    let from_latents = model.decode(latents.clone());
    let from_codes = model.decode_codes(model.quantizer.quantize(latents).codes);
    let is_like = |made: &Tensor<4>, other: &Tensor<4>, i: usize| {
        let difference = made.clone().narrow(0, i, 1) - other.clone().narrow(0, i, 1);
        values(difference.abs().max())[0] < 1e-5
    };
    let made = training.forward(images.clone(), Some(Noise::new(1, 0))).unwrap().images.inner();
    let direct: Vec<usize> = (0..8).filter(|&i| is_like(&made, &from_latents, i)).collect();
    assert!((1..8).contains(&direct.len()), "{direct:?}");
    for i in (0..8).filter(|i| !direct.contains(i)) {
        assert!(is_like(&made, &from_codes, i), "picture {i}");
    }
    let mut training = TrainedRqVae::initial(&config, 3, &device).unwrap();
    let made = training.forward(images, None).unwrap().images.inner();
    assert!(
        (0..8).all(|i| is_like(&made, &from_codes, i)),
        "without noise, all are decoded from their codes"
    );
}
