//! What a run tells when it starts.

use serde_json::Value;

use crate::model::{Config, ModelConfig};
use crate::train::config::TrainConfig;

/// What a person may expect otherwise of a run of this configuration.
pub fn notes(config: &Config, train: &TrainConfig) -> Vec<String> {
    let experiment = &train.experiment;
    let (parts, batch) = (experiment.parts(), experiment.batch_size);
    let is_stage1 = matches!(config.model, ModelConfig::RqVae(_));
    let moved =
        if is_stage1 { "; codebooks move, and the discriminator's norms count, part by part" } else { "" };
    let checkpointing = config.document.pointer("/arch/checkpointing").and_then(Value::as_bool);
    let all = [
        (parts > 1).then(|| format!("a step is {} pictures, in {parts} parts of {batch}{moved}", parts * batch)),
        experiment.amp.then(|| "experiment.amp: all is computed in f32".into()),
        (checkpointing == Some(true))
            .then(|| "arch.checkpointing: activations are kept, not computed again; this takes memory and no other result".into()),
    ];
    all.into_iter().flatten().collect()
}
