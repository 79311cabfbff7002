//! Notes printed when a run starts.

use serde_json::Value;

use residua_core::config::{Config, ModelConfig};
use residua_train::config::TrainConfig;

/// What may be unexpected about a run with this configuration.
pub fn notes(config: &Config, train: &TrainConfig) -> Vec<String> {
    let experiment = &train.experiment;
    let (parts, batch) = (experiment.parts(), experiment.batch_size);
    let is_stage1 = matches!(config.model, ModelConfig::RqVae(_));
    let moved =
        if is_stage1 { "; codebooks and the discriminator's norms are updated after each part" } else { "" };
    let checkpointing = config.document.pointer("/arch/checkpointing").and_then(Value::as_bool);
    let ema = config.document.pointer("/arch/ema").and_then(Value::as_bool);
    let all = [
        (parts > 1).then(|| format!("a step is {} pictures, in {parts} parts of {batch}{moved}", parts * batch)),
        experiment.amp.then(|| "experiment.amp: ignored, everything is computed in f32".into()),
        (ema == Some(true))
            .then(|| "arch.ema: true names no decay, so no averages are kept, as the published trainer never updates its own; give a decay such as 0.999 for averages".into()),
        (checkpointing == Some(true))
            .then(|| "arch.checkpointing: ignored, activations are stored instead of recomputed; this needs more memory and gives the same result".into()),
    ];
    all.into_iter().flatten().collect()
}
