//! How the published configurations are read for training, compared with what the published code does with
//! them.

use super::config::{LossKind, OptimizerKind, TrainConfig};
use super::data::Augmentation;
use residua_core::config::rqvae::ReconstructionLoss;
use residua_core::config::{
    Config, DefaultSampling, ModelConfig, RqTransformerConfig, RqVaeConfig, SamplingSection,
};

const FFHQ1: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/ffhq-stage1.yaml"));
const FFHQ2: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/ffhq-stage2.yaml"));
const IMAGENET1: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/imagenet-stage1.yaml"));
const IMAGENET2: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/imagenet-stage2.yaml"));
const CHURCH1: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/church-stage1.yaml"));
const CC3M2: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/cc3m-stage2.yaml"));

fn stage1(text: &str) -> (RqVaeConfig, TrainConfig) {
    let config = Config::parse("c", text).unwrap();
    let train = TrainConfig::of("c", &config).unwrap();
    match config.model {
        ModelConfig::RqVae(model) => (*model, train),
        ModelConfig::RqTransformer(_) => panic!("expected stage 1"),
    }
}

fn stage2(text: &str) -> (RqTransformerConfig, TrainConfig) {
    let config = Config::parse("c", text).unwrap();
    let train = TrainConfig::of("c", &config).unwrap();
    match config.model {
        ModelConfig::RqTransformer(model) => (*model, train),
        ModelConfig::RqVae(_) => panic!("expected stage 2"),
    }
}

#[test]
fn ffhq_stage_1_is_trained_as_published() {
    let (model, train) = stage1(FFHQ1);
    assert_eq!(model.hparams.loss_type, ReconstructionLoss::Mse);
    assert!(model.hparams.restart_unused_codes);
    let optimizer = &train.optimizer;
    assert_eq!((optimizer.kind, optimizer.weight_decay, optimizer.max_gn), (OptimizerKind::Adam, 0.0, None));
    assert_eq!((optimizer.init_lr, optimizer.betas), (4e-5, [0.5, 0.9]));
    // 5 of 150 epochs, of 1,875 steps each, rise from 0. Then the rate is constant, as it decays to the peak
    // rate itself.
    let schedule = optimizer.schedule(1875, 150 * 1875);
    let rates = [0, 5 * 1875 / 3, 5 * 1875, 200_000].map(|step| schedule.at(step));
    for (rate, expected) in rates.into_iter().zip([0.0, 4e-5 / 3.0, 4e-5, 4e-5]) {
        assert!((rate - expected).abs() < 1e-12, "{rates:?}");
    }
    let experiment = &train.experiment;
    assert_eq!((experiment.batch_size, experiment.parts(), experiment.epochs), (32, 1, 150.0));
    assert_eq!((experiment.save_ckpt_freq, experiment.test_freq), (5.0, 1.0));
    let gan = train.gan.unwrap();
    assert_eq!((gan.disc.arch.num_layers, gan.disc.arch.ndf, gan.disc.arch.use_actnorm), (2, 64, false));
    assert_eq!((gan.disc.optimizer.kind, gan.disc.optimizer.init_lr), (OptimizerKind::Adam, 4e-5));
    assert_eq!((gan.loss.disc_weight, gan.loss.perceptual_weight, gan.loss.disc_start), (0.75, 1.0, 0.0));
    assert_eq!(train.ema, None);
}

#[test]
fn ffhq_stage_2_is_trained_as_published() {
    let (model, train) = stage2(FFHQ2);
    // Defaults of the published code: the file does not set dropout.
    for block in [&model.body.block, &model.head.block] {
        assert_eq!((block.attn_pdrop, block.resid_pdrop), (0.0, 0.1));
    }
    assert_eq!(model.embd_pdrop, 0.0);
    let experiment = &train.experiment;
    assert_eq!((experiment.batch_size, experiment.parts(), experiment.amp), (32, 4, true));
    assert_eq!((experiment.save_ckpt_freq, experiment.test_freq), (10.0, 5.0));
    assert_eq!((train.optimizer.kind, train.optimizer.weight_decay), (OptimizerKind::AdamW, 1e-4));
    assert_eq!((train.optimizer.betas, train.optimizer.max_gn), ([0.9, 0.95], Some(1.0)));
    // Halfway through the run, the rate is halfway down the cosine.
    let schedule = train.optimizer.schedule(500, 200 * 500);
    assert_eq!(schedule.at(0), 5e-4);
    assert!((schedule.at(50_000) - 2.5e-4).abs() < 1e-12 && schedule.at(99_999) < 1e-9);
    let loss = &train.loss;
    assert_eq!(
        (loss.kind, loss.temp, loss.stochastic_codes),
        (LossKind::SoftTargetCrossEntropy, Some(0.5), true)
    );
    let DefaultSampling { filters, from, .. } = &model.sampling;
    assert_eq!((*from, filters[0].top_k, filters[0].top_p), (SamplingSection::Experiment, 250, 1.0));
}

#[test]
fn imagenet_is_trained_as_published() {
    let (model, train) = stage1(IMAGENET1);
    assert_eq!((model.ddconfig.attn_resolutions, train.experiment.epochs), (vec![8], 10.0));
    // Half an epoch, which has 40,037 steps.
    assert_eq!(train.optimizer.schedule(40_037, 400_370).warmup, 20_018.5);
    let (model, train) = stage2(IMAGENET2);
    assert_eq!((train.experiment.parts(), train.experiment.test_freq), (64, 2.0));
    assert_eq!((model.body.n_layer, model.head.block.resid_pdrop), (12, 0.1));
    assert!((model.sampling.filters[3].top_p - 0.92).abs() < 1e-6);
}

/// The published trainer saves configurations with all defaults filled in (see `make_saved.py`). They mean what the
/// given ones do.
#[test]
fn saved_configurations_mean_the_same() {
    let read = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published");
        let text = std::fs::read_to_string(format!("{folder}/{name}.yaml")).unwrap();
        let config = Config::parse(name, &text).unwrap();
        let train = TrainConfig::of(name, &config).unwrap();
        (config, train)
    };
    for name in ["ffhq-stage1", "ffhq-stage2", "cc3m-stage2"] {
        let [(given, train), (saved, train_saved)] =
            [name.into(), format!("saved/{name}")].map(|name: String| read(&name));
        assert_eq!(given.transforms, saved.transforms, "{name}");
        let model = |config: &Config| match &config.model {
            ModelConfig::RqVae(model) => serde_json::json!(model),
            ModelConfig::RqTransformer(model) => serde_json::json!([
                model.codebook_sizes().unwrap(),
                model.body,
                model.head,
                model.dropout_rates(),
                model.dataset,
                model.sampling
            ]),
        };
        assert_eq!(model(&given), model(&saved), "{name}");
        let optimizers = |train: &TrainConfig| {
            let all = [Some(&train.optimizer), train.gan.as_ref().map(|gan| &gan.disc.optimizer)];
            all.map(|one| one.map(|one| (one.descent(), one.max_gn, one.schedule(500, 200 * 500))))
        };
        assert_eq!(optimizers(&train), optimizers(&train_saved), "{name}");
        let others = |train: &TrainConfig| {
            let TrainConfig { experiment, loss, gan, ema, .. } = train;
            let gan = gan.as_ref().map(|gan| &gan.loss);
            format!("{} {} {loss:?} {gan:?} {ema:?}", experiment.epochs, experiment.test_freq)
        };
        assert_eq!(others(&train), others(&train_saved), "{name}");
        // As for the four processes that the script names.
        assert_eq!(train_saved.experiment.parts(), if name.starts_with("cc3m") { 64 } else { 4 }, "{name}");
    }
}

/// Missing keys get the defaults of `rqvae/utils/config.py`.
#[test]
fn missing_keys_get_the_published_defaults() {
    let without = |text: &str, lines: &[&str]| {
        let kept = text.lines().filter(|line| !lines.iter().any(|key| line.trim_start().starts_with(key)));
        kept.collect::<Vec<_>>().join("\n")
    };
    let text = without(FFHQ1, &["loss_type", "restart_unused_codes", "type: adam", "test_freq", "dropout"]);
    let (model, train) = stage1(&text);
    assert_eq!(model.hparams.loss_type, ReconstructionLoss::L1);
    assert!(!model.hparams.restart_unused_codes);
    assert_eq!(model.ddconfig.dropout, 0.0);
    assert_eq!((train.optimizer.kind, train.experiment.test_freq), (OptimizerKind::AdamW, 10.0));
    assert_eq!(train.gan.unwrap().disc.optimizer.kind, OptimizerKind::AdamW);
    let text = without(FFHQ2, &["type: soft", "stochastic_codes", "temp:"]);
    let (_, train) = stage2(&text.replace("loss:", ""));
    assert_eq!((train.loss.kind, train.loss.stochastic_codes), (LossKind::CrossEntropy, false));
}

/// `rqvae/optimizer/scheduler.py` creates no warm-up for 0 epochs: neither its multiplier nor its buffer applies,
/// but the buffer still shortens the decay.
#[test]
fn without_a_warm_up_the_rate_decays_at_once_as_published() {
    let text = FFHQ2.replace("multiplier: 1", "multiplier: 3").replace("buffer_epoch: 0", "buffer_epoch: 40");
    let schedule = stage2(&text).1.optimizer.schedule(500, 200 * 500);
    assert_eq!(schedule.at(0), 5e-4);
    // Halfway through the 160 epochs left.
    assert!((schedule.at(40_000) - 2.5e-4).abs() < 1e-12 && schedule.at(80_000) < 1e-12);
    // With a warm-up of 10 epochs, the rate triples, stays for 40 and decays in 150.
    let schedule = stage2(&text.replace(" epoch: 0", " epoch: 10")).1.optimizer.schedule(500, 200 * 500);
    let rates = [0, 2_500, 5_000, 25_000, 62_500].map(|step| schedule.at(step));
    for (rate, expected) in rates.into_iter().zip([0.0, 7.5e-4, 1.5e-3, 1.5e-3, 7.5e-4]) {
        assert!((rate - expected).abs() < 1e-12, "{rates:?}");
    }
}

#[test]
fn cc3m_stage_2_is_trained_as_published() {
    let (model, train) = stage2(CC3M2);
    assert_eq!((model.dataset.bpe_dropout, train.experiment.parts()), (Some(0.1), 64));
    assert_eq!((train.loss.txt_weight, train.loss.img_weight), (Some(0.1), Some(0.9)));
    assert_eq!(model.dataset.txt_tok_name.as_deref(), Some("bpe16k_huggingface"));
}

/// Church pictures are not augmented.
#[test]
fn pictures_are_augmented_as_published() {
    let named = |text: &str| {
        let document = Config::parse("c", text).unwrap().document;
        let transforms = &document["dataset"]["transforms"];
        Augmentation::named(transforms.get("type").unwrap_or(transforms).as_str()).unwrap()
    };
    assert_eq!(named(CHURCH1), Augmentation::default());
    assert!(named(FFHQ1).flip && named(IMAGENET1).flip && !named(CC3M2).flip);
    let all = [FFHQ1, IMAGENET1, CHURCH1, CC3M2].map(named);
    assert!((0..4).all(|i| (0..i).all(|j| all[i].frame != all[j].frame)), "{all:?}");
}
