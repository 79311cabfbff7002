//! How the learning rate goes: up at first, then down along a cosine.

use serde::{Deserialize, Serialize};

/// A learning rate for each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The rate that the configuration names.
    pub rate: f64,
    /// What the rate is multiplied by after the warm-up.
    pub multiplier: f64,
    /// Steps on the way there.
    pub warmup: u64,
    /// Whether the way begins at nothing, not at `rate`.
    pub from_zero: bool,
    /// Steps that it stays there.
    pub hold: u64,
    /// The rate at the end.
    pub least: f64,
    /// Steps in all.
    pub steps: u64,
}

impl Schedule {
    /// The same rate at each step.
    pub fn constant(rate: f64) -> Self {
        Self {
            rate,
            multiplier: 1.0,
            warmup: 0,
            from_zero: false,
            hold: u64::MAX,
            least: rate,
            steps: u64::MAX,
        }
    }

    /// The rate of step `step`, which counts from 0. As published, the way up begins at its first rate, and ends one step after
    /// the warm-up's last.
    pub fn at(&self, step: u64) -> f64 {
        let peak = self.rate * self.multiplier;
        if step < self.warmup {
            let begin = if self.from_zero { 0.0 } else { self.rate };
            return begin + (peak - begin) * step as f64 / self.warmup as f64;
        }
        let gone = (step - self.warmup).saturating_sub(self.hold);
        let left = self.steps.saturating_sub(self.warmup).saturating_sub(self.hold).max(1);
        let part = (gone as f64 / left as f64).min(1.0);
        self.least + (peak - self.least) * (1.0 + (std::f64::consts::PI * part).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_holds_and_falls() {
        let schedule = Schedule {
            rate: 1.0,
            multiplier: 2.0,
            warmup: 4,
            from_zero: true,
            hold: 2,
            least: 0.5,
            steps: 14,
        };
        let rates: Vec<f64> = (0..20).map(|step| schedule.at(step)).collect();
        assert_eq!(rates[..6], [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]);
        assert!(rates[6..14].windows(2).all(|pair| pair[0] > pair[1]), "{rates:?}");
        assert!((rates[10] - 1.25).abs() < 1e-12, "half way down a cosine");
        assert!(rates[14..].iter().all(|&rate| rate == 0.5));
    }

    #[test]
    fn a_constant_is_one() {
        assert!([0, 1, 1 << 40].iter().all(|&step| Schedule::constant(0.3).at(step) == 0.3));
    }
}
