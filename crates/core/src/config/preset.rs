//! The published configurations as a table, for `bench` with random weights, and a tiny one for tests.

use serde_json::{Value, json};

use super::{Config, ModelConfig, RqTransformerConfig, RqVaeConfig};
use crate::error::{Error, Result};

/// The sizes of one published pair of models.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// A short description.
    pub about: &'static str,
    /// `[h, w, D]` of the code stack.
    pub code_shape: [usize; 3],
    /// Codebook size.
    pub codebook: usize,
    /// Blocks of the body and of the head.
    pub layers: [usize; 2],
    /// Width of the transformers; heads are 64 wide in all but the tiny preset.
    pub width: usize,
    /// Number of classes, or vocabulary of the captions; 1: unconditional.
    pub conditions: usize,
    /// Tokens of the condition.
    pub condition_length: usize,
    /// Resolution of the images.
    pub resolution: usize,
    /// Channels of stage 1's first level.
    pub channels: usize,
    /// Multipliers of `channels`, level by level.
    pub multipliers: &'static [usize],
    /// Resolution at which stage 1 has attention.
    pub attention: usize,
    /// Width of an attention head.
    pub head_width: usize,
}

/// Stage 1 with a downsampling factor of 32, 256x256 to 8x8x4.
const F32: Preset = Preset {
    name: "",
    about: "",
    code_shape: [8, 8, 4],
    codebook: 16384,
    layers: [24, 4],
    width: 1024,
    conditions: 1,
    condition_length: 1,
    resolution: 256,
    channels: 128,
    multipliers: &[1, 1, 2, 2, 4, 4],
    attention: 8,
    head_width: 64,
};
/// Stage 1 with a downsampling factor of 16, 256x256 to 16x16x1: VQ-GAN.
const F16: Preset =
    Preset { code_shape: [16, 16, 1], multipliers: &[1, 1, 2, 2, 4], attention: 16, conditions: 1000, ..F32 };
const CIN: Preset = Preset { conditions: 1000, width: 1536, ..F32 };
const LSUN: Preset = Preset { layers: [26, 4], width: 1280, ..F32 };
const TEXT: Preset = Preset { conditions: 16384, condition_length: 32, ..LSUN };

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset { name: "ffhq-355m", about: "FFHQ, 355M", codebook: 2048, attention: 16, ..F32 },
    Preset { name: "church-370m", about: "LSUN church, 370M", ..F32 },
    Preset { name: "cat-612m", about: "LSUN cat, 612M", ..LSUN },
    Preset { name: "bedroom-612m", about: "LSUN bedroom, 612M", ..LSUN },
    Preset { name: "imagenet-480m", about: "ImageNet, 480M", layers: [12, 4], ..CIN },
    Preset { name: "imagenet-821m", about: "ImageNet, 821M", ..CIN },
    Preset { name: "imagenet-1.4b", about: "ImageNet, 1.4B", layers: [42, 6], ..CIN },
    Preset { name: "imagenet-3.8b", about: "ImageNet, 3.8B", layers: [42, 6], width: 2560, ..CIN },
    Preset { name: "cc3m-654m", about: "CC-3M captions, 654M", ..TEXT },
    Preset { name: "text-3.9b", about: "30 million captions, 3.9B", layers: [42, 6], width: 2560, ..TEXT },
    Preset { name: "vqgan-355m", about: "16x16x1, as deep and wide as ffhq-355m", layers: [28, 0], ..F16 },
    Preset { name: "vqgan-821m", about: "16x16x1, 821M", layers: [28, 0], width: 1536, ..F16 },
    Preset {
        name: "vqgan-1.4b",
        about: "16x16x1, 1.4B (paper figure 4)",
        layers: [48, 0],
        width: 1536,
        ..F16
    },
    Preset {
        name: "tiny",
        about: "for tests: 32x32 to 8x8x4",
        codebook: 64,
        layers: [2, 1],
        width: 48,
        conditions: 10,
        resolution: 32,
        channels: 32,
        multipliers: &[1, 2, 2],
        head_width: 12,
        ..F32
    },
];

impl Preset {
    /// The preset named `name`.
    pub fn find(name: &str) -> Result<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            Error::usage(format!("preset {name} does not exist; choose one of {}", names.join(", ")))
        })
    }

    /// The VQ-GAN transformer of the same depth and width, with which the paper's figure 4 compares this one.
    pub fn vqgan(&self) -> Self {
        Self {
            layers: [self.layers[0] + self.layers[1], 0],
            ..Self { conditions: self.conditions, ..F16 }.sized(self)
        }
    }

    fn sized(self, like: &Self) -> Self {
        Self { width: like.width, head_width: like.head_width, codebook: like.codebook, ..self }
    }

    /// The configuration of stage 1.
    pub fn rqvae(&self) -> Result<RqVaeConfig> {
        let dim = if self.resolution == 32 { 16 } else { 256 };
        let [h, w, depth] = self.code_shape;
        let document = json!({"arch": {
            "type": "rq-vae",
            "hparams": {
                "bottleneck_type": "rq", "embed_dim": dim, "n_embed": self.codebook,
                "latent_shape": [h, w, dim], "code_shape": [h, w, depth], "shared_codebook": true,
            },
            "ddconfig": {
                "z_channels": dim, "resolution": self.resolution, "in_channels": 3, "out_ch": 3, "ch": self.channels,
                "ch_mult": self.multipliers, "num_res_blocks": if self.channels == 32 { 1 } else { 2 },
                "attn_resolutions": [self.attention],
            },
        }});
        match self.parse(document)? {
            ModelConfig::RqVae(config) => Ok(*config),
            ModelConfig::RqTransformer(_) => unreachable!("the document says rq-vae"),
        }
    }

    /// The configuration of stage 2.
    pub fn rqtransformer(&self) -> Result<RqTransformerConfig> {
        let stack =
            |layers: usize| json!({"n_layer": layers, "block": {"n_head": self.width / self.head_width}});
        let document = json!({
            "dataset": {"vocab_size": self.codebook},
            "arch": {
                "type": "rq-transformer", "block_size": self.code_shape, "embed_dim": self.width,
                "input_embed_dim": self.rqvae()?.code_dim(), "shared_tok_emb": true, "shared_cls_emb": true,
                "input_emb_vqvae": true, "head_emb_vqvae": true, "cumsum_depth_ctx": true,
                "vocab_size_cond": self.conditions, "block_size_cond": self.condition_length,
                "body": stack(self.layers[0]), "head": stack(self.layers[1]),
            },
        });
        match self.parse(document)? {
            ModelConfig::RqTransformer(config) => Ok(*config),
            ModelConfig::RqVae(_) => unreachable!("the document says rq-transformer"),
        }
    }

    fn parse(&self, document: Value) -> Result<ModelConfig> {
        Ok(Config::from_document(self.name, document)?.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_valid_configuration() {
        for preset in PRESETS {
            preset.rqvae().expect(preset.name);
            preset.rqtransformer().expect(preset.name);
        }
    }
}
