//! RQ-VAE (paper section 3.1): images to code stacks and back.

mod blocks;
mod decoder;
mod encoder;
pub mod patches;
mod quantizer;

pub use quantizer::{Bottleneck, Quantizer, commitment_loss};
pub use residua_core::config::rqvae::{DdConfig, GROUPS, Hparams, ReconstructionLoss, RqVaeConfig};

use burn::tensor::{Device, Int, Tensor};

use blocks::Conv;
use decoder::Decoder;
use encoder::Encoder;

use crate::Loader;
use residua_core::error::Result;
use residua_kernels::Resample;

/// Which codes of a stack contribute to the latents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Partial {
    /// Only the code at this depth.
    Select(usize),
    /// The codes at depths `0..=d`.
    Add(usize),
}

/// Encoder, residual quantizer and decoder.
#[derive(Debug)]
pub struct RqVae {
    /// The configuration it was built from.
    pub config: RqVaeConfig,
    encoder: Encoder,
    quant_conv: Conv,
    /// The bottleneck; its codebooks also embed codes for the transformer.
    pub quantizer: Quantizer,
    post_quant_conv: Conv,
    decoder: Decoder,
    device: Device,
}

impl RqVae {
    /// Takes all tensors from `loader`, whose [`finish`](Loader::finish) reports whether they fit.
    pub fn load(loader: &mut Loader, config: &RqVaeConfig) -> Result<Self> {
        let (z, dim) = (config.ddconfig.z_channels, config.hparams.embed_dim);
        Ok(Self {
            encoder: Encoder::load(loader, config),
            quant_conv: Conv::load(loader, "quant_conv", [config.encoder_channels(), dim], 1),
            quantizer: Quantizer::load(loader, config)?,
            post_quant_conv: Conv::load(loader, "post_quant_conv", [dim, z], 1),
            decoder: Decoder::load(loader, config),
            config: config.clone(),
            device: loader.device().clone(),
        })
    }

    /// The device it computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Images `[B, 3, H, W]` in `[-1, 1]` to latents `[B, h', w', C]`.
    pub fn encode(&self, images: Tensor<4>) -> Tensor<4> {
        let z = self.quant_conv.forward(self.encoder.forward(images), Resample::Same);
        z.permute([0, 2, 3, 1])
    }

    /// Latents `[B, h', w', C]` to images `[B, 3, H, W]`, not clamped.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decoder.images(self.features(latents))
    }

    /// The input of the last layer, `[B, ch, H / patch, W / patch]`, and the images of [`Self::decode`].
    pub fn decode_with_features(&self, latents: Tensor<4>) -> [Tensor<4>; 2] {
        let features = self.features(latents);
        [features.clone(), self.decoder.images(features)]
    }

    fn features(&self, latents: Tensor<4>) -> Tensor<4> {
        let z = latents.permute([0, 3, 1, 2]);
        self.decoder.features(self.post_quant_conv.forward(z, Resample::Same))
    }

    /// Code stacks `[B, h, w, D]` to images `[B, 3, H, W]`, not clamped.
    pub fn decode_codes(&self, codes: Tensor<4, Int>) -> Tensor<4> {
        let depth = self.config.depth();
        self.decode(self.quantizer.latents(codes, Partial::Add(depth - 1)))
    }

    /// Decodes only some of the codes `[B, h, w, D]`, to `[B, 3, H, W]`, not clamped.
    pub fn decode_partial(&self, codes: Tensor<4, Int>, partial: Partial) -> Tensor<4> {
        self.decode(self.quantizer.latents(codes, partial))
    }

    /// Images of codes `[B, h, w, D]`, each code multiplied by its entry in `mask` `[B h w, D]`: 1 to keep
    /// it, 0 to drop it.
    pub fn decode_masked(&self, codes: Tensor<4, Int>, mask: Tensor<2>) -> Tensor<4> {
        self.decode(self.quantizer.masked_latents(codes, mask))
    }
}
