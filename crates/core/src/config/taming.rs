//! Configurations of taming-transformers (CompVis): a VQGAN is an RQ-VAE of depth 1, with the same encoder
//! and decoder.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Renamed, Unread, read_section};
use crate::error::{Error, Result};

/// The class of the supported models: a VQGAN with its own codebook.
const VQGAN: &str = "taming.models.vqgan.VQModel";

/// Renames its weights. Networks of the losses are not part of the model.
pub const NAMES: &[Renamed] =
    &[("quantize.embedding.", Some("quantizer.codebooks.0.")), ("loss.", None), ("model_ema.", None)];

/// Section `model` of such a document.
#[derive(Deserialize)]
struct Model {
    target: String,
    params: Value,
    #[serde(default, rename = "base_learning_rate")]
    _base_learning_rate: Unread,
}

/// Section `params` of a VQGAN.
#[derive(Deserialize)]
struct Params {
    embed_dim: usize,
    n_embed: usize,
    ddconfig: Value,
    #[serde(default, rename = "lossconfig")]
    _lossconfig: Unread,
    #[serde(default, rename = "ckpt_path")]
    _ckpt_path: Unread,
    #[serde(default, rename = "monitor")]
    _monitor: Unread,
    #[serde(default, rename = "image_key")]
    _image_key: Unread,
    #[serde(default, rename = "colorize_nlabels")]
    _colorize_nlabels: Unread,
    #[serde(default, rename = "ignore_keys")]
    _ignore_keys: Unread,
    #[serde(default, rename = "remap")]
    _remap: Unread,
    #[serde(default, rename = "sane_index_shape")]
    _sane_index_shape: Unread,
}

/// Translates `document` to a published RQ-VAE configuration, if it describes a model of taming-transformers.
///
/// # Errors
/// It describes another of their models, or lacks a key.
pub fn translated(name: &str, document: &Value) -> Result<Option<Value>> {
    let Some(model) = document.get("model").filter(|model| model.get("target").is_some()) else {
        return Ok(None);
    };
    let model: Model = read_section(name, "model", model)?;
    if model.target != VQGAN {
        return Err(Error::invalid(format!(
            "{name}: model.target: expected {VQGAN} (a first stage), found {}",
            model.target
        )));
    }
    let params: Params = read_section(name, "model.params", &model.params)?;
    let sizes = |key: &str| params.ddconfig.get(key).and_then(Value::as_u64);
    let levels = params.ddconfig.get("ch_mult").and_then(Value::as_array).map(Vec::len);
    let (Some(resolution), Some(levels @ 1..=32)) = (sizes("resolution"), levels) else {
        return Err(Error::invalid(format!(
            "{name}: model.params.ddconfig: expected resolution and ch_mult, found {}",
            params.ddconfig
        )));
    };
    let side = resolution >> (levels - 1);
    Ok(Some(json!({
        "arch": {
            "type": "rq-vae",
            "hparams": {
                "bottleneck_type": "rq",
                "embed_dim": params.embed_dim,
                "n_embed": params.n_embed,
                "latent_shape": [side, side, params.embed_dim],
                "code_shape": [side, side, 1],
                "shared_codebook": false,
            },
            "ddconfig": params.ddconfig,
        },
    })))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ModelConfig};

    const VQGAN: &str = "
model:
  base_learning_rate: 4.5e-06
  target: taming.models.vqgan.VQModel
  params:
    embed_dim: 256
    n_embed: 1024
    ddconfig: {double_z: false, z_channels: 256, resolution: 256, in_channels: 3, out_ch: 3, ch: 128,
      ch_mult: [1, 1, 2, 2, 4], num_res_blocks: 2, attn_resolutions: [16], dropout: 0.0}
    lossconfig: {target: taming.modules.losses.vqperceptual.VQLPIPSWithDiscriminator}
data: {target: main.DataModuleFromConfig}
";

    #[test]
    fn a_vqgan_is_an_rqvae_of_depth_1() {
        let config = Config::parse("c", VQGAN).unwrap();
        let ModelConfig::RqVae(vae) = &config.model else { panic!("{config:?}") };
        assert_eq!((vae.hparams.code_shape, vae.codebook_sizes().unwrap()), ([16, 16, 1], vec![1024]));
        assert!(!config.names.is_empty());
        // The document stored with converted weights uses our names.
        let again = Config::parse("c", &config.document.to_string()).unwrap();
        assert!(again.names.is_empty());
    }

    #[test]
    fn unsupported_models_are_named() {
        for (from, to, expected) in [
            (
                "vqgan.VQModel",
                "cond_transformer.Net2NetTransformer",
                "found taming.models.cond_transformer.Net2Net",
            ),
            ("vqgan.VQModel", "vqgan.GumbelVQ", "(a first stage), found taming.models.vqgan.GumbelVQ"),
            ("resolution", "size", "expected resolution and ch_mult"),
            ("n_embed: 1024", "n: 1", "n_embed"),
            ("z_channels: 256", "z_channels: none", "z_channels"),
        ] {
            let message = Config::parse("c", &VQGAN.replace(from, to)).unwrap_err().to_string();
            assert!(message.starts_with("c: ") && message.contains(expected), "{message}");
        }
    }
}
