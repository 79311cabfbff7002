//! What a window shows about loaded models.

use burn::tensor::Device;

use crate::models::{Stage1, footprint};
use residua_core::config::{Precision, RqTransformerConfig};
use residua_core::error::Result;
use residua_model::Checkpoint;
use residua_protocol::{Loaded, Options, Stage2Facts};

/// The facts about the models on `device`. `stage2` is the transformer's configuration and checkpoint, if there is one.
///
/// # Errors
/// A weight file cannot be read, or has no weights of its model.
pub fn facts(
    options: &Options,
    stage1: &Stage1,
    stage2: Option<(&RqTransformerConfig, &Checkpoint)>,
    device: &Device,
) -> Result<Loaded> {
    let (stage1_parameters, mut bytes) = footprint(&stage1.checkpoint, Precision::Stored)?;
    let (mut facts, mut licence) = (None, stage1.checkpoint.licence());
    if let Some((config, checkpoint)) = stage2 {
        let (parameters, more) = footprint(checkpoint, options.precision)?;
        bytes += more;
        licence = checkpoint.licence();
        facts = Some(Stage2Facts { config: config.clone(), parameters });
    }
    let rqvae = stage1.model.config.clone();
    Ok(Loaded {
        name: options.model.clone(),
        rqvae_place: options.rqvae.clone(),
        rqvae_id: stage1.id()?,
        codebook_sizes: rqvae.codebook_sizes()?,
        rqvae,
        stage1_parameters,
        stage2: facts,
        bytes,
        licence: licence.map(String::from),
        device: residua_kernels::device::kind(device).into(),
    })
}
