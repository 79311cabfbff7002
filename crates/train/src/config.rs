//! The training part of a configuration: the published sections `optimizer`, `experiment`, `loss` and `gan`.

mod experiment;
mod gan;
mod loss;
mod optimizer;
mod ranges;

pub use experiment::Experiment;
pub use gan::{DiscArch, DiscLoss, Gan, GanLoss, GenLoss};
pub use loss::{Loss, LossKind};
pub use optimizer::{Optimizer, OptimizerKind, Warmup, WarmupMode};

use serde_json::Value;

use ranges::all_parts;
use residua_core::config::{Config, read_known, read_section};
use residua_core::error::{Error, Result};

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
        self.experiment.check()?;
        self.loss.check()?;
        all_parts(&[("arch.ema", self.ema.unwrap_or(0.0))])?;
        self.gan.as_ref().map_or(Ok(()), Gan::check)
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
