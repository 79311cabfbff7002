//! The encoder: pixels to latents, halving the resolution after each level but the last.

use burn::tensor::Tensor;

use super::blocks::{Conv, Level, Middle, Norm};
use super::patches::fold;
use crate::Loader;
use residua_core::config::rqvae::RqVaeConfig;
use residua_kernels::Resample;
use residua_kernels::conv2d::downsample;

/// The convolutional encoder.
#[derive(Debug)]
pub struct Encoder {
    /// Side of the pixel squares that `conv_in` takes as channels.
    patch: usize,
    conv_in: Conv,
    levels: Vec<Level>,
    middle: Middle,
    norm_out: Norm,
    conv_out: Conv,
}

impl Encoder {
    /// Loads `encoder.*`.
    pub fn load(loader: &mut Loader, config: &RqVaeConfig) -> Self {
        let d = &config.ddconfig;
        let width = |level: usize| d.ch * d.ch_mult[level];
        let last = d.ch_mult.len() - 1;
        let conv_in = Conv::load(loader, "encoder.conv_in", [d.in_channels * d.patch.pow(2), d.ch], 3);
        let levels = (0..=last)
            .map(|i| {
                let from = if i == 0 { d.ch } else { width(i - 1) };
                let attends = d.attn_resolutions.contains(&(d.side(i)));
                let resampling = (i < last && d.resamp_with_conv).then_some("downsample");
                let path = format!("encoder.down.{i}");
                Level::load(loader, &path, d, 0, [from, width(i)], attends, resampling)
            })
            .collect();
        Self {
            patch: d.patch,
            conv_in,
            levels,
            middle: Middle::load(loader, "encoder.mid", width(last), d.dropout),
            norm_out: Norm::load(loader, "encoder.norm_out", width(last)),
            conv_out: Conv::load(loader, "encoder.conv_out", [width(last), config.encoder_channels()], 3),
        }
    }

    /// Images `[B, 3, H, W]` in `[-1, 1]` to `[B, z_channels, h', w']`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut x = self.conv_in.forward(fold(images, self.patch), Resample::Same);
        for (i, level) in self.levels.iter().enumerate() {
            x = level.forward(x);
            if i + 1 < self.levels.len() {
                x = match &level.resampling {
                    Some(conv) => conv.forward(x, Resample::Down),
                    None => downsample(x),
                };
            }
        }
        let x = self.norm_out.forward_silu(self.middle.forward(x));
        self.conv_out.forward(x, Resample::Same)
    }
}
