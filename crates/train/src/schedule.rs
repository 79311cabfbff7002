//! Learning rate schedule: linear warm-up, then cosine decay.

/// A learning rate for each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The configured rate.
    pub rate: f64,
    /// Factor on `rate` after the warm-up.
    pub multiplier: f64,
    /// Steps of warm-up; not always a whole number, as half an epoch may have an odd number of steps.
    pub warmup: f64,
    /// True if the warm-up starts at 0, not at `rate`.
    pub from_zero: bool,
    /// Steps at the peak rate.
    pub hold: f64,
    /// Final rate.
    pub least: f64,
    /// Total number of steps.
    pub steps: f64,
}

impl Schedule {
    /// A constant rate.
    pub fn constant(rate: f64) -> Self {
        Self {
            rate,
            multiplier: 1.0,
            warmup: 0.0,
            from_zero: false,
            hold: f64::MAX,
            least: rate,
            steps: f64::MAX,
        }
    }

    /// The rate at step `step`, counted from 0. As published, step 0 has the first rate and step `warmup` the
    /// peak; if `warmup` is not whole, later steps keep the rate of its whole part.
    pub fn at(&self, step: u64) -> f64 {
        let (step, begin) = (step as f64, if self.from_zero { 0.0 } else { self.rate });
        let risen = |steps: f64| {
            if self.warmup > 0.0 {
                begin + (self.rate * self.multiplier - begin) * (steps / self.warmup)
            } else {
                self.rate * self.multiplier
            }
        };
        if step < self.warmup {
            return risen(step);
        }
        let (peak, held) = (risen(self.warmup.floor()), self.warmup + self.hold);
        let gone = (step - held.floor()).max(0.0);
        let part = (gone / (self.steps - held).max(1.0)).min(1.0);
        self.least + (peak - self.least) * (1.0 + (std::f64::consts::PI * part).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;
    use residua_core::config::Config;
    use serde_json::{Value, json};

    const STAGE1: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqvae-shared/config.yaml"));

    #[test]
    fn rates_match_the_published_scheduler() {
        let golden: Value = serde_json::from_str(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/training/schedule.json"
        )))
        .expect("our own file");
        let (rate, per_epoch) = (&golden["rate"], golden["steps_per_epoch"].as_u64().unwrap());
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 8);
        for case in cases {
            let mut document = Config::parse("c", STAGE1).unwrap().document;
            document["optimizer"] = json!({ "init_lr": rate, "warmup": case["warmup"] });
            let config = Config::from_document("c", document).unwrap();
            let steps = case["epochs"].as_u64().unwrap() * per_epoch;
            let schedule = TrainConfig::of("c", &config).unwrap().optimizer.schedule(per_epoch, steps);
            for (step, expected) in (0..).zip(case["rates"].as_array().unwrap()) {
                let (found, expected) = (schedule.at(step), expected.as_f64().unwrap());
                assert!((found - expected).abs() < 1e-15, "{case}: step {step}: {found}");
            }
        }
    }

    #[test]
    fn a_constant_rate_stays() {
        assert!([0, 1, 1 << 40].iter().all(|&step| Schedule::constant(0.3).at(step) == 0.3));
    }
}
