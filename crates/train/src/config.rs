//! The training part of a configuration: the published sections `optimizer`, `experiment`, `loss` and `gan`.

mod gan;

pub use gan::{DiscArch, DiscLoss, Gan, GanLoss, GenLoss};

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value;

use super::optimizer::DescentConfig;
use super::schedule::Schedule;
use residua_core::config::{Config, Unread, read_known, read_section, within};
use residua_core::error::{Error, Result};
use residua_core::text::counted;

/// Most images per batch.
const LARGEST_BATCH: usize = 1 << 16;

/// Most parts per step.
const MOST_PARTS: usize = 1 << 16;

/// Range of the temperature of soft targets, which are computed in f32.
const TEMPERATURES: RangeInclusive<f64> = 1e-6..=1e6;

/// The training sections.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// Section `optimizer`.
    pub optimizer: Optimizer,
    /// Section `experiment`.
    pub experiment: Experiment,
    /// Section `loss`, for stage 2.
    pub loss: Loss,
    /// Section `gan`, for stage 1.
    pub gan: Option<Gan>,
    /// `arch.ema`: EMA decay of the weights; `None` disables the EMA, as does the published `true`, which
    /// names no decay.
    pub ema: Option<f64>,
}

/// Section `optimizer`.
#[derive(Clone, Debug, Deserialize)]
pub struct Optimizer {
    /// The kind of optimizer; as published, AdamW by default.
    #[serde(rename = "type", default)]
    pub kind: OptimizerKind,
    /// Learning rate.
    #[serde(default = "default_rate")]
    pub init_lr: f64,
    /// Weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// Decay rates of the moments.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// Maximum gradient norm; `None` disables clipping.
    #[serde(default, alias = "grad_clip_norm")]
    pub max_gn: Option<f64>,
    /// The learning rate schedule; `None` keeps the rate constant.
    #[serde(default)]
    pub warmup: Option<Warmup>,
    #[serde(default, rename = "grad_accm_steps")]
    _grad_accm_steps: Unread,
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
pub struct Warmup {
    /// Epochs until the peak rate.
    #[serde(default)]
    pub epoch: f64,
    /// Peak rate, in units of `init_lr`.
    #[serde(default = "one")]
    pub multiplier: f64,
    /// Epochs at the peak rate.
    #[serde(default)]
    pub buffer_epoch: f64,
    /// Final rate.
    #[serde(default)]
    pub min_lr: f64,
    /// How the published trainer scales `multiplier` with its number of processes; here there is one.
    #[serde(default)]
    pub mode: WarmupMode,
    /// True if the rate starts at 0.
    #[serde(default = "yes")]
    pub start_from_zero: bool,
}

/// `optimizer.warmup.mode`. On one device, all but `none` mean the same: a multiplier of at least 1.
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

/// Section `experiment`.
#[derive(Clone, Debug, Deserialize)]
pub struct Experiment {
    /// Images per batch.
    #[serde(default = "default_batch")]
    pub batch_size: usize,
    /// Images per step over all devices of the published trainer; here a step is taken in parts of
    /// `batch_size`.
    #[serde(default)]
    pub total_batch_size: Option<usize>,
    /// Gradient accumulation: parts per step, unless `total_batch_size` determines it.
    #[serde(default, alias = "accu_step")]
    pub accumulation: Option<usize>,
    /// Passes over the data.
    #[serde(default = "default_epochs")]
    pub epochs: f64,
    /// Epochs between evaluations on held-out pictures; the first comes after one epoch.
    #[serde(default = "default_test_freq")]
    pub test_freq: f64,
    /// Epochs between checkpoints.
    #[serde(default = "one")]
    pub save_ckpt_freq: f64,
    /// True if the published trainer uses mixed precision; here everything is f32.
    #[serde(default)]
    pub amp: bool,
}

/// Section `loss`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Loss {
    /// Hard or soft targets (paper section 3.2.2).
    #[serde(rename = "type", default)]
    pub kind: LossKind,
    /// Temperature of the soft targets.
    #[serde(default)]
    pub temp: Option<f64>,
    /// True if the input codes are sampled at that temperature too.
    #[serde(default)]
    pub stochastic_codes: bool,
    /// Weight of the caption's likelihood.
    #[serde(default)]
    pub txt_weight: Option<f64>,
    /// Weight of the codes' likelihood.
    #[serde(default)]
    pub img_weight: Option<f64>,
}

/// `loss.type`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Hard targets: the nearest codes.
    #[default]
    CrossEntropy,
    /// Soft targets: a distribution over all codes, by their distances.
    SoftTargetCrossEntropy,
}

fn default_rate() -> f64 {
    4e-5
}
fn default_betas() -> [f64; 2] {
    DescentConfig::default().betas
}
fn default_batch() -> usize {
    32
}
fn default_epochs() -> f64 {
    10.0
}
fn default_test_freq() -> f64 {
    10.0
}
fn one() -> f64 {
    1.0
}
fn yes() -> bool {
    true
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::default(),
            init_lr: default_rate(),
            weight_decay: 0.0,
            betas: default_betas(),
            max_gn: None,
            warmup: None,
            _grad_accm_steps: Unread::Null,
        }
    }
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            batch_size: default_batch(),
            total_batch_size: None,
            accumulation: None,
            epochs: default_epochs(),
            test_freq: default_test_freq(),
            save_ckpt_freq: one(),
            amp: false,
        }
    }
}

impl TrainConfig {
    /// Reads the sections of `config`; error messages call it `name`.
    ///
    /// # Errors
    /// A value has the wrong type or is out of range.
    pub fn of(name: &str, config: &Config) -> Result<Self> {
        type Read<T> = fn(&str, &str, &Value) -> Result<T>;
        fn section<T: Default>(name: &str, config: &Config, key: &str, read: Read<T>) -> Result<T> {
            match config.document.get(key) {
                None | Some(Value::Null) => Ok(T::default()),
                Some(value) => read(name, key, value),
            }
        }
        let read = Self {
            optimizer: section(name, config, "optimizer", read_section)?,
            // The model configuration has already checked the keys of these two.
            experiment: section(name, config, "experiment", read_known)?,
            loss: section(name, config, "loss", read_known)?,
            gan: Gan::of(name, config)?,
            ema: decay(config.document.pointer("/arch/ema"))
                .map_err(|error| Error::invalid(format!("{name}: {error}")))?,
        };
        read.check().map_err(|error| Error::invalid(format!("{name}: {error}")))?;
        Ok(read)
    }

    fn check(&self) -> Result<()> {
        self.optimizer.check("optimizer")?;
        let (experiment, loss) = (&self.experiment, &self.loss);
        all_positive(&[
            ("experiment.epochs", experiment.epochs),
            ("experiment.test_freq", experiment.test_freq),
            ("experiment.save_ckpt_freq", experiment.save_ckpt_freq),
        ])?;
        within("experiment.batch_size", experiment.batch_size, LARGEST_BATCH)?;
        within("experiment.accumulation", experiment.accumulation.unwrap_or(1), MOST_PARTS)?;
        experiment.check_parts()?;
        within("experiment.total_batch_size / batch_size", experiment.parts(), MOST_PARTS)?;
        let temperature = loss.temp.unwrap_or(1.0);
        if !TEMPERATURES.contains(&temperature) {
            return Err(Error::invalid(format!(
                "loss.temp: expected {} to {}, found {temperature}",
                TEMPERATURES.start(),
                TEMPERATURES.end()
            )));
        }
        none_negative(&[
            ("loss.txt_weight", loss.txt_weight.unwrap_or(0.0)),
            ("loss.img_weight", loss.img_weight.unwrap_or(0.0)),
        ])?;
        all_parts(&[("arch.ema", self.ema.unwrap_or(0.0))])?;
        self.gan.as_ref().map_or(Ok(()), Gan::check)
    }
}

impl Experiment {
    /// Parts per step, of `batch_size` images each.
    pub fn parts(&self) -> usize {
        match self.total_batch_size {
            Some(total) => total / self.batch_size,
            None => self.accumulation.unwrap_or(1),
        }
    }

    /// Refuses a total that is not a multiple of the batch size, or contradicts `accumulation`.
    fn check_parts(&self) -> Result<()> {
        let (Some(total), batch) = (self.total_batch_size, self.batch_size) else { return Ok(()) };
        if total == 0 || !total.is_multiple_of(batch) {
            return Err(Error::invalid(format!(
                "experiment.total_batch_size: expected a multiple of batch_size {batch}, found {total}"
            )));
        }
        match self.accumulation {
            Some(parts) if parts != self.parts() => Err(Error::invalid(format!(
                "experiment.total_batch_size: expected {} for {} of {batch}, found {total}: remove one of \
                 the two",
                parts * batch,
                counted(parts, "part")
            ))),
            _ => Ok(()),
        }
    }
}

impl Optimizer {
    /// Refuses invalid values; error messages call this section `section`.
    fn check(&self, section: &str) -> Result<()> {
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
        let (multiplier, rise, hold, steps) = match rise >= 1.0 {
            true => (warmup.multiplier.max(least), rise, hold, steps),
            false => (1.0, 0.0, 0.0, steps - hold),
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

/// The EMA decay that `arch.ema` names, if any.
fn decay(ema: Option<&Value>) -> Result<Option<f64>> {
    match ema {
        None | Some(Value::Null | Value::Bool(_)) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| {
            Error::invalid(format!("arch.ema: expected a decay of 0 or more and less than 1, found {value}"))
        }),
    }
}

/// Refuses values that are not above 0.
fn all_positive<K: std::fmt::Display>(values: &[(K, f64)]) -> Result<()> {
    match values.iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
        None => Ok(()),
        Some((key, value)) => Err(Error::invalid(format!("{key}: expected a number above 0, found {value}"))),
    }
}

/// Refuses values below 0.
fn none_negative<K: std::fmt::Display>(values: &[(K, f64)]) -> Result<()> {
    match values.iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
        None => Ok(()),
        Some((key, value)) => {
            Err(Error::invalid(format!("{key}: expected a number of 0 or more, found {value}")))
        }
    }
}

/// Refuses values outside [0, 1).
fn all_parts<K: std::fmt::Display>(values: &[(K, f64)]) -> Result<()> {
    match values.iter().find(|(_, value)| !(0.0..1.0).contains(value)) {
        None => Ok(()),
        Some((key, value)) => {
            Err(Error::invalid(format!("{key}: expected 0 or more and less than 1, found {value}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE1: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqvae-shared/config.yaml"));
    const STAGE2: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqt-class/config.yaml"));

    fn read(text: &str) -> Result<TrainConfig> {
        TrainConfig::of("c", &Config::parse("c", text)?)
    }

    #[test]
    fn published_keys_are_read() {
        let text = format!(
            "{STAGE1}\noptimizer:\n  type: adam\n  init_lr: 4.0e-5\n  weight_decay: 0.\n  betas: [0.5, 0.9]\n  warmup:\n    \
             epoch: 0.5\n    mode: linear\n    multiplier: 1\n    buffer_epoch: 0\n    min_lr: 4.0e-5\n    \
             start_from_zero: true\nexperiment:\n  batch_size: 16\n  epochs: 10\n  save_ckpt_freq: 2\n  amp: true\n"
        );
        let config = read(&text).unwrap();
        assert_eq!((config.optimizer.init_lr, config.optimizer.betas), (4e-5, [0.5, 0.9]));
        assert_eq!((config.experiment.batch_size, config.experiment.epochs), (16, 10.0));
        let schedule = config.optimizer.schedule(100, 1000);
        assert_eq!(
            [schedule.at(0), schedule.at(25), schedule.at(50), schedule.at(999)],
            [0.0, 2e-5, 4e-5, 4e-5]
        );
        let loss = read(STAGE2).unwrap().loss;
        assert_eq!(
            (loss.kind, loss.temp, loss.stochastic_codes),
            (LossKind::SoftTargetCrossEntropy, Some(0.5), true)
        );
    }

    #[test]
    fn averages_need_a_decay() {
        for (ema, expected) in [
            ("null", Some(None)),
            ("true", Some(None)),
            ("0.9", Some(Some(0.9))),
            ("1", None),
            ("yes please", None),
        ] {
            let text = STAGE1.replacen("arch:\n", &format!("arch:\n  ema: {ema}\n"), 1);
            assert_eq!(read(&text).ok().map(|config| config.ema), expected, "{ema}");
        }
    }

    #[test]
    fn invalid_values_are_refused_in_one_line() {
        for (section, expected) in [
            ("optimizer: {init_lr: -1}", "init_lr"),
            ("optimizer: {betas: [0.5, 1]}", "betas"),
            ("optimizer: {type: lion}", "expected the type adam, adamW or sgd, found lion"),
            (
                "experiment: {batch_size: 32, total_batch_size: 100}",
                "expected a multiple of batch_size 32, found 100",
            ),
            (
                "experiment: {batch_size: 8, total_batch_size: 32, accu_step: 2}",
                "expected 16 for 2 parts of 8",
            ),
            ("experiment: {test_freq: 0}", "test_freq"),
            ("experiment: {batch_size: 0}", "batch_size"),
            ("experiment: {epochs: 0}", "epochs"),
            (
                "experiment: {batch_size: 1000000000000}",
                "experiment.batch_size: expected 1 to 65536, found 10",
            ),
            ("experiment: {batch_size: 18446744073709551615}", "found 18446744073709551615"),
            ("experiment: {batch_size: 4, accu_step: 18446744073709551615}", "experiment.accumulation"),
            ("experiment: {batch_size: 4, accu_step: 0}", "experiment.accumulation"),
            (
                "experiment: {batch_size: 1, total_batch_size: 18446744073709551615}",
                "experiment.total_batch_size / batch_size: expected 1 to 65536",
            ),
            ("optimizer: {weight_decay: -0.1}", "optimizer.weight_decay"),
            ("optimizer: {warmup: {epoch: -1}}", "optimizer.warmup.epoch"),
            ("optimizer: {warmup: {min_lr: -1}}", "optimizer.warmup.min_lr"),
            ("loss: {temp: 1.0e-50}", "loss.temp: expected 0.000001 to 1000000"),
            ("loss: {img_weight: -1}", "loss.img_weight"),
            ("experiment: {epochs: .nan}", "`.nan` is not a finite number"),
        ] {
            let error = read(&format!("{STAGE1}\n{section}\n")).expect_err(section).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
