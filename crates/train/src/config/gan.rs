//! Section `gan`: the discriminator and LPIPS, which judge reconstructions besides the pixel loss.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::Optimizer;
use super::ranges::none_negative;
use residua_core::config::rqvae::rgb;
use residua_core::config::{Config, Unread, read_known, read_section, within};
use residua_core::error::Result;

/// Section `gan`.
#[derive(Clone, Debug, Deserialize)]
pub struct Gan {
    /// The discriminator.
    #[serde(default)]
    pub disc: Disc,
    /// The losses.
    #[serde(default)]
    pub loss: GanLoss,
}

/// `gan.disc`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Disc {
    /// Its layers.
    #[serde(default)]
    pub arch: DiscArch,
    /// Its optimizer: section `optimizer`, overridden by the keys given here.
    #[serde(skip)]
    pub optimizer: Optimizer,
    #[serde(default, rename = "optimizer")]
    _overlay: Option<Optimizer>,
}

/// `gan.disc.arch`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct DiscArch {
    /// Input channels.
    pub in_channels: usize,
    /// Convolutions that halve the resolution.
    pub num_layers: usize,
    /// Channels of the first convolution.
    pub ndf: usize,
    /// True for ActNorm, which the first batch initializes and training then learns; false for batch
    /// normalization.
    pub use_actnorm: bool,
    /// No effect, as published.
    pub spectral_norm: Unread,
}

/// `gan.loss`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct GanLoss {
    /// The discriminator's loss.
    pub disc_loss: DiscLoss,
    /// The generator's loss.
    pub gen_loss: GenLoss,
    /// Weight of both; 0 disables the discriminator.
    pub disc_weight: f64,
    /// Weight of LPIPS.
    pub perceptual_weight: f64,
    /// Epochs before the discriminator takes effect.
    pub disc_start: f64,
    /// Paths of the LPIPS weights; not among the published keys.
    pub lpips: Vec<PathBuf>,
}

/// `gan.loss.disc_loss`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum DiscLoss {
    /// Hinge loss: real logits should be above 1, others below -1.
    #[default]
    Hinge,
    /// Cross-entropy.
    Vanilla,
}

/// `gan.loss.gen_loss`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum GenLoss {
    /// The negated mean logit of reconstructions.
    #[default]
    Vanilla,
}

impl Default for DiscArch {
    fn default() -> Self {
        Self { in_channels: 3, num_layers: 3, ndf: 64, use_actnorm: false, spectral_norm: Unread::Null }
    }
}

impl Default for GanLoss {
    fn default() -> Self {
        Self {
            disc_loss: DiscLoss::default(),
            gen_loss: GenLoss::default(),
            disc_weight: 0.75,
            perceptual_weight: 1.0,
            disc_start: 0.0,
            lpips: Vec::new(),
        }
    }
}

impl Gan {
    /// Reads the section of `config`, if it has one; error messages call `config` `name`.
    ///
    /// # Errors
    /// A value has the wrong type.
    pub(super) fn of(name: &str, config: &Config) -> Result<Option<Self>> {
        let Some(section) = config.document.get("gan").filter(|section| !section.is_null()) else {
            return Ok(None);
        };
        let mut gan: Self = read_section(name, "gan", section)?;
        let mut optimizer = config.document.get("optimizer").cloned().unwrap_or_default();
        settle_start(&mut optimizer);
        if let Some(overlay) = section.pointer("/disc/optimizer") {
            lay_over(&mut optimizer, overlay);
        }
        if !optimizer.is_null() {
            gan.disc.optimizer = read_known(name, "gan.disc.optimizer", &optimizer)?;
        }
        Ok(Some(gan))
    }

    /// Refuses invalid values.
    pub(super) fn check(&self) -> Result<()> {
        rgb("gan.disc.arch.in_channels", self.disc.arch.in_channels)?;
        within("gan.disc.arch.num_layers", self.disc.arch.num_layers, 8)?;
        within("gan.disc.arch.ndf", self.disc.arch.ndf, 1024)?;
        let loss = &self.loss;
        none_negative(&[
            ("gan.loss.disc_weight", loss.disc_weight),
            ("gan.loss.perceptual_weight", loss.perceptual_weight),
            ("gan.loss.disc_start", loss.disc_start),
        ])?;
        self.disc.optimizer.check("gan.disc.optimizer")
    }
}

/// As published, the generator's `warmup.epoch` decides whether rates start at 0 by default, also those of a
/// discriminator with a warm-up of its own.
fn settle_start(optimizer: &mut Value) {
    let Some(warmup) = optimizer.pointer_mut("/warmup").and_then(Value::as_object_mut) else { return };
    let is_warmed = warmup.get("epoch").and_then(Value::as_f64).is_some_and(|epochs| epochs > 0.0);
    warmup.entry("start_from_zero").or_insert(is_warmed.into());
}

/// Merges `over` into `base` key by key; values in `over` win.
fn lay_over(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::TrainConfig;
    use super::*;

    const STAGE1: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqvae-shared/config.yaml"));

    fn read(text: &str) -> Result<TrainConfig> {
        TrainConfig::of("c", &Config::parse("c", &format!("{STAGE1}\n{text}\n"))?)
    }

    #[test]
    fn published_keys_are_read() {
        let gan = read(
            "optimizer: {type: adam, init_lr: 4.0e-5, betas: [0.5, 0.9], warmup: {epoch: 5, min_lr: 4.0e-5}}\n\
             gan:\n  disc:\n    arch: {in_channels: 3, num_layers: 2, use_actnorm: False, ndf: 64, spectral_norm: False}\n    \
             optimizer: {init_lr: 1.0e-5, warmup: {epoch: 1}}\n  loss: {disc_loss: hinge, gen_loss: vanilla, \
             disc_weight: 0.75, perceptual_weight: 1.0, disc_start: 0}",
        )
        .unwrap()
        .gan
        .unwrap();
        assert_eq!((gan.disc.arch.num_layers, gan.disc.arch.ndf), (2, 64));
        assert_eq!((gan.loss.disc_loss, gan.loss.disc_weight), (DiscLoss::Hinge, 0.75));
        // The discriminator's optimizer is section `optimizer` with these overrides.
        let optimizer = gan.disc.optimizer;
        assert_eq!((optimizer.init_lr, optimizer.betas), (1e-5, [0.5, 0.9]));
        let warmup = optimizer.warmup.unwrap();
        assert_eq!((warmup.epoch, warmup.min_lr, warmup.start_from_zero), (1.0, 4e-5, true));
        assert!(read("").unwrap().gan.is_none());
    }

    /// `augment_optimizer_defaults` in `rqvae/utils/config.py` reads section `optimizer` alone.
    #[test]
    fn a_warm_up_of_the_discriminator_alone_starts_at_the_full_rate() {
        let rates = |own: &str| {
            let text = format!(
                "optimizer: {{init_lr: 0.5, warmup: {{epoch: 0}}}}\ngan: {{disc: {{optimizer: {{warmup: {own}}}}}}}"
            );
            let schedule = read(&text).unwrap().gan.unwrap().disc.optimizer.schedule(4, 40);
            [0, 2, 4].map(|step| schedule.at(step))
        };
        assert_eq!(rates("{epoch: 1}"), [0.5; 3]);
        assert_eq!(rates("{epoch: 1, start_from_zero: true}"), [0.0, 0.25, 0.5]);
    }

    #[test]
    fn invalid_values_are_refused_in_one_line() {
        for (section, expected) in [
            ("{disc: {arch: {num_layers: 0}}}", "num_layers"),
            ("{disc: {arch: {in_channels: 1}}}", "gan.disc.arch.in_channels: expected 3"),
            ("{disc: {optimizer: {init_lr: 0}}}", "gan.disc.optimizer.init_lr"),
            ("{loss: {disc_weight: -1}}", "disc_weight"),
            ("{loss: {disc_loss: wasserstein}}", "wasserstein"),
            ("{loss: {gen_loss: hinge}}", "hinge"),
        ] {
            let error = read(&format!("gan: {section}")).expect_err(section).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
