//! The decoder: latents to pixels, doubling the resolution after each level but the finest.

use burn::tensor::Tensor;

use super::blocks::{Conv, Level, Middle, Norm};
use super::patches::unfold;
use crate::Loader;
use residua_core::config::rqvae::RqVaeConfig;
use residua_kernels::Resample;
use residua_kernels::conv2d::upsample;

/// The convolutional decoder.
#[derive(Debug)]
pub struct Decoder {
    conv_in: Conv,
    middle: Middle,
    /// Finest level first, as published; evaluated in reverse.
    levels: Vec<Level>,
    norm_out: Norm,
    conv_out: Conv,
    /// Side of the pixel squares that `conv_out` outputs as channels.
    patch: usize,
}

impl Decoder {
    /// Loads `decoder.*`.
    pub fn load(loader: &mut Loader, config: &RqVaeConfig) -> Self {
        let d = &config.ddconfig;
        let width = |level: usize| d.ch * d.ch_mult[level];
        let last = d.ch_mult.len() - 1;
        let levels = (0..=last)
            .map(|i| {
                let from = width(if i == last { last } else { i + 1 });
                let attends = d.attn_resolutions.contains(&(d.side(i)));
                let resampling = (i > 0 && d.resamp_with_conv).then_some("upsample");
                let path = format!("decoder.up.{i}");
                Level::load(loader, &path, d, 1, [from, width(i)], attends, resampling)
            })
            .collect();
        Self {
            conv_in: Conv::load(loader, "decoder.conv_in", [d.z_channels, width(last)], 3),
            middle: Middle::load(loader, "decoder.mid", width(last), d.dropout),
            levels,
            norm_out: Norm::load(loader, "decoder.norm_out", width(0)),
            conv_out: Conv::load(loader, "decoder.conv_out", [width(0), d.out_ch * d.patch.pow(2)], 3),
            patch: d.patch,
        }
    }

    /// `[B, z_channels, h', w']` to the input of the last layer, `[B, ch, H / patch, W / patch]`.
    pub fn features(&self, z: Tensor<4>) -> Tensor<4> {
        let mut x = self.middle.forward(self.conv_in.forward(z, Resample::Same));
        for (i, level) in self.levels.iter().enumerate().rev() {
            x = level.forward(x);
            if i > 0 {
                x = match &level.resampling {
                    Some(conv) => conv.forward(x, Resample::Up),
                    None => upsample(x),
                };
            }
        }
        self.norm_out.forward_silu(x)
    }

    /// The output of [`Self::features`] to images `[B, 3, H, W]`, near `[-1, 1]` and not clamped.
    pub fn images(&self, features: Tensor<4>) -> Tensor<4> {
        unfold(self.conv_out.forward(features, Resample::Same), self.patch)
    }
}
