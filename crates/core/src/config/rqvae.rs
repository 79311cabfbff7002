//! Configuration of an RQ-VAE: the published keys `hparams` and `ddconfig`.

use serde::{Deserialize, Serialize};

use crate::config::{PerDepth, Unread, dropout, within};
use crate::error::{Error, Result};

/// Number of groups in every group norm of the published models.
pub const GROUPS: usize = 32;

/// Section `arch` of a stage 1 configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RqVaeConfig {
    /// Always `rq-vae`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The bottleneck.
    pub hparams: Hparams,
    /// The encoder and decoder.
    pub ddconfig: DdConfig,
    #[serde(default, rename = "code_hier", skip_serializing)]
    _code_hier: Unread,
    #[serde(default, rename = "checkpointing", skip_serializing)]
    _checkpointing: Unread,
    #[serde(default, rename = "ema", skip_serializing)]
    _ema: Unread,
}

/// The bottleneck: residual quantization (paper section 3.1).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Hparams {
    /// Always `rq`.
    pub bottleneck_type: String,
    /// Channels of the latents.
    pub embed_dim: usize,
    /// Codebook size, or one per depth.
    pub n_embed: PerDepth<usize>,
    /// `[h', w', embed_dim]` of the encoder's output.
    pub latent_shape: [usize; 3],
    /// `[h, w, D]` of the code stack.
    pub code_shape: [usize; 3],
    /// Whether all depths share one codebook.
    #[serde(default)]
    pub shared_codebook: bool,
    /// Decay of the codebooks' moving averages, or one per depth.
    #[serde(default = "default_decay")]
    pub decay: PerDepth<f64>,
    /// Whether training restarts unused codes; off by default in the published code.
    #[serde(default)]
    pub restart_unused_codes: bool,
    /// Codes are unused if fewer latents per batch than this are assigned to them on average; one value or one
    /// per depth. Not a published key; the published value is 1.
    #[serde(default = "default_restart_threshold")]
    pub restart_threshold: PerDepth<f64>,
    /// Whether codes restart at latents sampled by their error, rather than uniformly. Not a published key.
    #[serde(default)]
    pub restart_by_error: bool,
    /// The reconstruction loss; `l1` by default in the published code.
    #[serde(default)]
    pub loss_type: ReconstructionLoss,
    /// Weight of the commitment loss.
    #[serde(default = "default_commitment")]
    pub latent_loss_weight: f64,
    /// Weight of a loss on the variance of white cells' latents. Above 0, `restart_by_error` places no codes
    /// there. Not
    /// a published key.
    #[serde(default)]
    pub blank_weight: f64,
    /// Probability that a training picture is decoded from its latents instead of its codes, so that the encoder
    /// also learns details that the codes don't hold yet ("Moshi", arXiv 2410.00037, section 3.3.2). Not a
    /// published key.
    #[serde(default)]
    pub unquantized_rate: f64,
    /// Parts of the picture where errors count more, for pictures that are aligned, such as faces (compare
    /// "Make-A-Scene", arXiv 2203.13131, section 3.3). Not a published key.
    #[serde(default)]
    pub focus: Vec<Focus>,
    #[serde(default, rename = "masked_dropout", skip_serializing)]
    _masked_dropout: Unread,
    #[serde(default, rename = "use_padding_idx", skip_serializing)]
    _use_padding_idx: Unread,
    #[serde(default, rename = "commitment_loss", skip_serializing)]
    _commitment_loss: Unread,
}

/// A part of the picture where errors count more.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Focus {
    /// The first row and the row after the last, in pixels.
    pub rows: [usize; 2],
    /// The first column and the column after the last, in pixels.
    pub columns: [usize; 2],
    /// How often an error there counts.
    pub weight: f64,
}

/// Distance of a reconstruction from its image, averaged over all values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReconstructionLoss {
    /// Squared difference.
    Mse,
    /// Absolute difference.
    #[default]
    L1,
}

/// The convolutional encoder and decoder, as in VQ-GAN.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DdConfig {
    /// Whether the encoder outputs twice `z_channels`.
    #[serde(default)]
    pub double_z: bool,
    /// Channels of the bottleneck before `quant_conv`.
    pub z_channels: usize,
    /// Height and width of the images, in pixels.
    pub resolution: usize,
    /// Channels of input images.
    pub in_channels: usize,
    /// Channels of output images.
    pub out_ch: usize,
    /// Channels of the first level.
    pub ch: usize,
    /// Multiplier of `ch` at each level, finest first.
    pub ch_mult: Vec<usize>,
    /// Side of the pixel squares that the first and last convolutions treat as channels: with 4, the finest
    /// level is a quarter as wide as the images. Not a published key; the published value is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub patch: usize,
    /// Residual blocks per level; the decoder has one more.
    pub num_res_blocks: usize,
    /// Resolutions, in cells, at which attention follows every block.
    #[serde(default)]
    pub attn_resolutions: Vec<usize>,
    /// Whether resampling includes a convolution.
    #[serde(default = "yes")]
    pub resamp_with_conv: bool,
    /// Dropout in training.
    #[serde(default)]
    pub dropout: f64,
}

fn yes() -> bool {
    true
}
fn one() -> usize {
    1
}
fn is_one(value: &usize) -> bool {
    *value == 1
}
fn default_decay() -> PerDepth<f64> {
    PerDepth::Same(0.99)
}
fn default_restart_threshold() -> PerDepth<f64> {
    PerDepth::Same(1.0)
}
fn default_commitment() -> f64 {
    0.25
}

impl DdConfig {
    /// Height and width of level `level`, in cells; level 0 is the finest.
    pub fn side(&self, level: usize) -> usize {
        (self.resolution / self.patch) >> level
    }
}

impl RqVaeConfig {
    /// Codebook sizes, one per depth.
    pub fn codebook_sizes(&self) -> Result<Vec<usize>> {
        self.hparams.n_embed.values("n_embed", self.depth())
    }

    /// Codes in one cell, `D`.
    pub fn depth(&self) -> usize {
        self.hparams.code_shape[2]
    }

    /// Rows and columns of latents covered by one code: `[rH, rW]`.
    pub fn cell(&self) -> [usize; 2] {
        let Hparams { latent_shape, code_shape, .. } = &self.hparams;
        [latent_shape[0] / code_shape[0], latent_shape[1] / code_shape[1]]
    }

    /// Length of one code's embedding: `rH * rW * embed_dim`.
    pub fn code_dim(&self) -> usize {
        let [rows, columns] = self.cell();
        rows * columns * self.hparams.embed_dim
    }

    /// Channels that the encoder outputs and `quant_conv` takes.
    pub fn encoder_channels(&self) -> usize {
        self.ddconfig.z_channels * if self.ddconfig.double_z { 2 } else { 1 }
    }

    /// Rejects configurations that cannot be built, before anything of their size is allocated.
    pub fn check(&self) -> Result<()> {
        let (h, d) = (&self.hparams, &self.ddconfig);
        if h.bottleneck_type != "rq" {
            return Err(Error::invalid(format!("bottleneck_type: expected rq, found {}", h.bottleneck_type)));
        }
        let limits = [
            ("resolution", d.resolution, 4096),
            ("ch", d.ch, 4096),
            ("z_channels", d.z_channels, 8192),
            ("patch", d.patch, 16),
            ("num_res_blocks", d.num_res_blocks, 16),
            ("ch_mult's length", d.ch_mult.len(), 10),
            ("embed_dim", h.embed_dim, 8192),
            ("code_shape's depth", h.code_shape[2], 64),
            ("code_shape's height", h.code_shape[0], 4096),
            ("code_shape's width", h.code_shape[1], 4096),
        ];
        for (key, value, most) in limits {
            within(key, value, most)?;
        }
        rgb("in_channels", d.in_channels)?;
        rgb("out_ch", d.out_ch)?;
        for &factor in &d.ch_mult {
            within("ch_mult", factor, 64)?;
        }
        if d.ch % GROUPS != 0 {
            return Err(Error::invalid(format!(
                "ch: expected a multiple of the norm's {GROUPS} groups, found {}",
                d.ch
            )));
        }
        for size in self.codebook_sizes()? {
            within("n_embed", size, 1 << 20)?;
        }
        dropout("dropout", d.dropout)?;
        dropout("unquantized_rate", h.unquantized_rate)?;
        self.check_training()?;
        self.check_shapes()
    }

    /// Checks what only training uses: it would otherwise fail at its first step, or learn a useless model.
    fn check_training(&self) -> Result<()> {
        let h = &self.hparams;
        for decay in h.decay.values("decay", self.depth())? {
            dropout("decay", decay)?;
        }
        for threshold in h.restart_threshold.values("restart_threshold", self.depth())? {
            not_negative("restart_threshold", threshold)?;
        }
        not_negative("latent_loss_weight", h.latent_loss_weight)?;
        not_negative("blank_weight", h.blank_weight)
    }

    fn check_shapes(&self) -> Result<()> {
        let (h, d) = (&self.hparams, &self.ddconfig);
        let levels = d.ch_mult.len();
        let side = d.side(levels - 1);
        let multiple = d.patch << (levels - 1);
        if side * multiple != d.resolution {
            return Err(Error::invalid(format!(
                "resolution: expected a multiple of {multiple} for {levels} levels and a patch of {}, found {}",
                d.patch, d.resolution
            )));
        }
        if h.latent_shape != [side, side, h.embed_dim] {
            return Err(Error::invalid(format!(
                "latent_shape: expected [{side}, {side}, {}] from resolution, patch, ch_mult and embed_dim, found {:?}",
                h.embed_dim, h.latent_shape
            )));
        }
        if h.latent_shape[0] % h.code_shape[0] != 0 || h.latent_shape[1] % h.code_shape[1] != 0 {
            return Err(Error::invalid(format!(
                "code_shape: expected to divide the latent's {:?}, found {:?}",
                &h.latent_shape[..2],
                &h.code_shape[..2]
            )));
        }
        for Focus { rows, columns, weight } in &h.focus {
            let is_inside = |&[first, end]: &[usize; 2]| first < end && end <= d.resolution;
            let counts = *weight > 0.0 && *weight <= 1000.0;
            if ![rows, columns].into_iter().all(is_inside) || !counts {
                return Err(Error::invalid(format!(
                    "focus: expected rows and columns within {} pixels, and a weight above 0 and up to 1000, found rows {rows:?}, \
                     columns {columns:?} and weight {weight}",
                    d.resolution
                )));
            }
        }
        let sizes = self.codebook_sizes()?;
        if h.shared_codebook && sizes.iter().any(|&size| size != sizes[0]) {
            return Err(Error::invalid(format!(
                "n_embed: a shared codebook needs the same size at every depth, found {sizes:?}"
            )));
        }
        Ok(())
    }
}

/// Checks that a model takes or makes pictures of three colours, as all files here have; `key` is the published
/// key.
pub fn rgb(key: &str, channels: usize) -> Result<()> {
    if channels == 3 {
        return Ok(());
    }
    Err(Error::invalid(format!("{key}: expected 3, for red, green and blue, found {channels}")))
}

fn not_negative(key: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!("{key}: expected a number of 0 or more, found {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CONFIG: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqvae-shared/config.yaml"));

    #[test]
    fn impossible_values_are_refused_in_one_line() {
        for (section, value, expected) in [
            ("ddconfig", "in_channels: 1", "in_channels: expected 3, for red, green and blue, found 1"),
            ("ddconfig", "out_ch: 1", "out_ch: expected 3, for red, green and blue, found 1"),
            ("ddconfig", "out_ch: 4", "out_ch: expected 3, for red, green and blue, found 4"),
            ("hparams", "decay: 2.0", "decay: expected at least 0 and less than 1, found 2"),
            ("hparams", "decay: -3.0", "decay: expected at least 0 and less than 1, found -3"),
            ("hparams", "decay: [0.5, 0.5, 0.5, 1.0]", "decay: expected at least 0 and less than 1, found 1"),
            ("hparams", "decay: [0.5]", "decay: expected one value, or 4 for 4 depths, found 1"),
            ("hparams", "restart_threshold: [1.0, 1.0]", "restart_threshold: expected one value, or 4 for"),
            (
                "hparams",
                "restart_threshold: -1.0",
                "restart_threshold: expected a number of 0 or more, found -1",
            ),
            ("hparams", "latent_loss_weight: -1.0", "latent_loss_weight: expected a number of 0 or more"),
            ("hparams", "blank_weight: -0.5", "blank_weight: expected a number of 0 or more, found -0.5"),
            (
                "hparams",
                r#"focus: [{"rows": [0, 33], "columns": [0, 8], "weight": 2}]"#,
                "focus: expected rows and columns within 32 pixels",
            ),
            (
                "hparams",
                r#"focus: [{"rows": [0, 8], "columns": [0, 8], "weight": 0}]"#,
                "focus: expected rows and columns within 32 pixels, and a weight above 0",
            ),
        ] {
            let mut document = Config::parse("c", CONFIG).unwrap().document;
            let (key, value) = value.split_once(": ").unwrap();
            document["arch"][section][key] = serde_json::from_str(value).unwrap();
            let message = Config::from_document("c", document).expect_err(key).to_string();
            assert!(message.starts_with(&format!("c: {expected}")) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn values_at_their_limits_are_accepted() {
        let mut document = Config::parse("c", CONFIG).unwrap().document;
        for key in ["decay", "restart_threshold", "latent_loss_weight", "blank_weight"] {
            document["arch"]["hparams"][key] = 0.into();
        }
        Config::from_document("c", document).unwrap();
    }

    /// A configuration in code may hold what no document can.
    #[test]
    fn weights_are_finite() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(not_negative("k", value).is_err());
        }
    }
}
