//! What a window shows about loaded models.

use crate::api::Model;
use crate::models::footprint;
use residua_core::config::Precision;
use residua_core::error::Result;
use residua_protocol::{Loaded, Stage2Facts};

/// The facts about `model`.
///
/// # Errors
/// A weight file cannot be read, or has no weights of its model.
pub fn facts(model: &Model) -> Result<Loaded> {
    let options = model.options();
    let stage1 = model.stage1();
    let (stage1_parameters, mut bytes) = footprint(&stage1.checkpoint, Precision::Stored)?;
    let (mut facts, mut licence) = (None, stage1.checkpoint.licence());
    if let Ok(stage2) = model.stage2() {
        let (parameters, more) = footprint(&stage2.checkpoint, options.precision)?;
        bytes += more;
        licence = stage2.checkpoint.licence();
        facts = Some(Stage2Facts { config: stage2.model.config.clone(), parameters });
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
        device: model.device().into(),
    })
}
