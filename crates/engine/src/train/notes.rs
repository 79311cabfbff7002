//! Notes printed when a run starts.

use serde_json::Value;

use residua_core::config::{Config, ModelConfig};
use residua_train::config::TrainConfig;
use residua_train::data::Augmentation;

/// What differs from the published code, whatever the configuration.
const ALWAYS: &str = "unlike the published code, this makes transparent pixels white, turns pictures as their EXIF data say, and \
                      fills an epoch's last batch with pictures of the next epoch";

/// What stage 2 follows instead of a trainer.
const STAGE2: &str = "the published code has no trainer for this stage: initial weights are those of its _init_weights, and only \
                      the weights of linear layers decay";

/// What a run with this configuration does to its pictures, and what may be unexpected about it.
pub fn notes(config: &Config, train: &TrainConfig, augmentation: Augmentation) -> Vec<String> {
    let experiment = &train.experiment;
    let (parts, batch) = (experiment.parts(), experiment.batch_size);
    let is_stage1 = matches!(config.model, ModelConfig::RqVae(_));
    let moved =
        if is_stage1 { "; codebooks and the discriminator's norms are updated after each part" } else { "" };
    let checkpointing = config.document.pointer("/arch/checkpointing").and_then(Value::as_bool);
    let ema = config.document.pointer("/arch/ema").and_then(Value::as_bool);
    let all = [
        Some(format!("augmentation: {}", augmentation.described())),
        Some(format!("dropout: {}", dropout(&config.model))),
        Some(ALWAYS.into()),
        (!is_stage1).then(|| STAGE2.into()),
        (parts > 1).then(|| format!("a step is {} pictures, in {parts} parts of {batch}{moved}", parts * batch)),
        (is_stage1 && train.optimizer.max_gn.is_some())
            .then(|| "optimizer.max_gn: gradients are clipped; the published trainer ignores this in stage 1".into()),
        (is_stage1 && experiment.total_batch_size.is_some_and(|total| total > batch))
            .then(|| "experiment.total_batch_size: the published trainer divides it among processes that update the codebooks together; to match it, set batch_size to the same value".into()),
        experiment.amp.then(|| "experiment.amp: ignored, everything is computed in f32".into()),
        (ema == Some(true))
            .then(|| "arch.ema: true gives no decay, so no EMA is kept; the published trainer never updates its EMA. Set a decay such as 0.999 to keep one".into()),
        train.ema
            .map(|decay| format!("arch.ema: the saved model is the EMA with decay {decay}; the published trainer never updates its EMA")),
        restarts_too_many(&config.model, batch),
        (checkpointing == Some(true))
            .then(|| "arch.checkpointing: ignored, activations are stored instead of recomputed; this needs more memory and gives the same result".into()),
    ];
    all.into_iter().flatten().collect()
}

/// What to do if codes of average use are restarted, so that much of a codebook moves in every step.
fn restarts_too_many(model: &ModelConfig, batch: usize) -> Option<String> {
    let ModelConfig::RqVae(model) = model else { return None };
    let (hparams, depth) = (&model.hparams, model.depth());
    let [rows, columns, _] = hparams.code_shape;
    let latents = batch * rows * columns;
    let thresholds = hparams.restart_threshold.values("restart_threshold", depth).ok()?;
    let sizes = model.codebook_sizes().ok()?;
    let is_high = |(&threshold, &size): (&f64, &usize)| threshold >= latents as f64 / size as f64;
    let (threshold, size) = thresholds.iter().zip(&sizes).find(|&pair| is_high(pair))?;
    hparams.restart_unused_codes.then(|| {
        format!(
            "restart_threshold: {threshold} restarts many of the {size} codes in every step, as a batch has only {latents} \
             latents for them; set it to {:.2} or less, or raise batch_size",
            latents as f64 / *size as f64 / 4.0
        )
    })
}

/// The probabilities above 0 with which training leaves something out.
fn dropout(model: &ModelConfig) -> String {
    let rates = match model {
        ModelConfig::RqVae(model) => vec![("ddconfig.dropout", model.ddconfig.dropout)],
        ModelConfig::RqTransformer(model) => model.dropout_rates().to_vec(),
    };
    let on = rates.iter().filter(|(_, rate)| *rate > 0.0).map(|(key, rate)| format!("{key} {rate}"));
    let on: Vec<String> = on.collect();
    if on.is_empty() { "none".into() } else { on.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two notes on a published configuration, with `from` replaced by `to`.
    fn first(name: &str, from: &str, to: &str) -> [String; 2] {
        let path = format!("{}/../../tests/fixtures/published/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let changed = text.replace(from, to);
        assert_eq!(changed == text, from == to, "{from}");
        let config = Config::parse("c", &changed).unwrap();
        let train = TrainConfig::of("c", &config).unwrap();
        let augmentation = Augmentation::named(config.transforms.0.as_deref()).unwrap();
        let mut all = notes(&config, &train, augmentation);
        all.truncate(2);
        all.try_into().expect("two notes")
    }

    /// The published batch is that of four processes.
    #[test]
    fn a_batch_with_few_latents_for_a_codebook_is_named() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/published/ffhq-stage1.yaml");
        let config = Config::parse("c", &std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(restarts_too_many(&config.model, 128), None);
        let note = restarts_too_many(&config.model, 32).unwrap();
        assert!(note.contains("2048 codes in every step") && note.contains("0.25 or less"), "{note}");
    }

    #[test]
    fn augmentation_and_dropout_are_named() {
        let resid = "body.block.resid_pdrop 0.1, head.block.resid_pdrop 0.1";
        for (name, [from, to], augmentation, dropout) in [
            (
                "ffhq-stage1",
                ["dropout: 0.00", "dropout: 0.25"],
                "a random part of at least 75 % of the area, mirrored half the time",
                "ddconfig.dropout 0.25",
            ),
            (
                "imagenet-stage1",
                ["", ""],
                "the largest square, anywhere along the longer side, mirrored half the time",
                "none",
            ),
            ("church-stage1", ["", ""], "the largest square in the center", "none"),
            (
                "cc3m-stage2",
                ["", ""],
                "the largest square, near the center, and a random crop of most of it",
                &format!("{resid}, dataset.bpe_dropout 0.1"),
            ),
        ] {
            let expected = [format!("augmentation: {augmentation}"), format!("dropout: {dropout}")];
            assert_eq!(first(name, from, to), expected, "{name}");
        }
    }
}
