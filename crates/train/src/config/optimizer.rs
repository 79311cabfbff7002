//! Section `optimizer`: the optimizer and its learning rate.

use serde::Deserialize;

use super::ranges::{all_parts, all_positive, none_negative};
use crate::optimizer::DescentConfig;
use crate::schedule::Schedule;
use residua_core::config::Unread;
use residua_core::error::Result;

/// Section `optimizer`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Optimizer {
    /// The kind of optimizer; as published, AdamW by default.
    #[serde(rename = "type")]
    pub kind: OptimizerKind,
    /// Learning rate.
    pub init_lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Decay rates of the moments.
    pub betas: [f64; 2],
    /// Maximum gradient norm; `None` disables clipping.
    #[serde(alias = "grad_clip_norm")]
    pub max_gn: Option<f64>,
    /// The learning rate schedule; `None` keeps the rate constant.
    pub warmup: Option<Warmup>,
    #[serde(rename = "grad_accm_steps")]
    _grad_accm_steps: Unread,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::default(),
            init_lr: 4e-5,
            weight_decay: 0.0,
            betas: DescentConfig::default().betas,
            max_gn: None,
            warmup: None,
            _grad_accm_steps: Unread::Null,
        }
    }
}

/// The published optimizers; names are case-insensitive.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub enum OptimizerKind {
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    #[default]
    AdamW,
    /// Gradient descent with momentum.
    Sgd,
}

impl TryFrom<String> for OptimizerKind {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.to_lowercase().as_str() {
            "adam" => Ok(Self::Adam),
            "adamw" => Ok(Self::AdamW),
            "sgd" => Ok(Self::Sgd),
            _ => Err(format!("expected the type adam, adamW or sgd, found {name}")),
        }
    }
}

/// `optimizer.warmup`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Warmup {
    /// Epochs until the peak rate.
    pub epoch: f64,
    /// Peak rate, in units of `init_lr`.
    pub multiplier: f64,
    /// Epochs at the peak rate.
    pub buffer_epoch: f64,
    /// Final rate.
    pub min_lr: f64,
    /// How the published trainer scales `multiplier` with its number of processes; here the number of ranks
    /// does not matter.
    pub mode: WarmupMode,
    /// True if the rate starts at 0.
    pub start_from_zero: bool,
}

impl Default for Warmup {
    fn default() -> Self {
        Self {
            epoch: 0.0,
            multiplier: 1.0,
            buffer_epoch: 0.0,
            min_lr: 0.0,
            mode: WarmupMode::default(),
            start_from_zero: true,
        }
    }
}

/// `optimizer.warmup.mode`. Here all but `none` mean the same: a multiplier of at least 1.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum WarmupMode {
    /// In proportion to the number of devices.
    #[default]
    Linear,
    /// In proportion to the square root of the number of devices.
    Sqrt,
    /// The multiplier unchanged, but at least 1.
    Fix,
    /// The multiplier unchanged.
    None,
}

impl Optimizer {
    /// Refuses invalid values; error messages call this section `section`.
    pub(super) fn check(&self, section: &str) -> Result<()> {
        let key = |key: &str| format!("{section}.{key}");
        all_positive(&[(key("init_lr"), self.init_lr), (key("max_gn"), self.max_gn.unwrap_or(1.0))])?;
        none_negative(&[(key("weight_decay"), self.weight_decay)])?;
        if let Some(warmup) = &self.warmup {
            none_negative(&[
                (key("warmup.epoch"), warmup.epoch),
                (key("warmup.multiplier"), warmup.multiplier),
                (key("warmup.buffer_epoch"), warmup.buffer_epoch),
                (key("warmup.min_lr"), warmup.min_lr),
            ])?;
        }
        all_parts(&self.betas.map(|beta| (key("betas"), beta)))
    }

    /// The optimizer's parameters.
    pub fn descent(&self) -> DescentConfig {
        DescentConfig {
            kind: self.kind,
            betas: self.betas,
            decay: self.weight_decay,
            ..DescentConfig::default()
        }
    }

    /// The learning rate schedule of a run of `steps` steps, with `per_epoch` steps per epoch.
    pub fn schedule(&self, per_epoch: u64, steps: u64) -> Schedule {
        let rate = self.init_lr;
        let Some(warmup) = &self.warmup else { return Schedule::constant(rate) };
        let (in_steps, steps) = (|epochs: f64| epochs * per_epoch as f64, steps as f64);
        let (rise, hold) = (in_steps(warmup.epoch), in_steps(warmup.buffer_epoch));
        let least = if warmup.mode == WarmupMode::None { 0.0 } else { 1.0 };
        // As published, only a warm-up leads to a multiple of the rate and stays there. Without one, the
        // decay starts at once, and the buffer makes it end earlier.
        let (multiplier, rise, hold, steps) = if rise >= 1.0 {
            (warmup.multiplier.max(least), rise, hold, steps)
        } else {
            (1.0, 0.0, 0.0, steps - hold)
        };
        Schedule {
            rate,
            multiplier,
            warmup: rise,
            from_zero: warmup.start_from_zero,
            hold,
            least: warmup.min_lr,
            steps,
        }
    }
}
