//! Learning rate schedule: linear warm-up, then cosine decay.

use serde::{Deserialize, Serialize};

/// A learning rate for each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The configured rate.
    pub rate: f64,
    /// Factor on `rate` after the warm-up.
    pub multiplier: f64,
    /// Steps of warm-up.
    pub warmup: u64,
    /// True if the warm-up starts at 0, not at `rate`.
    pub from_zero: bool,
    /// Steps at the peak rate.
    pub hold: u64,
    /// Final rate.
    pub least: f64,
    /// Total number of steps.
    pub steps: u64,
}

impl Schedule {
    /// A constant rate.
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

    /// The rate at step `step`, counted from 0. As published, the warm-up starts at its first rate, and
    /// reaches the peak one step after its last.
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
        assert!((rates[10] - 1.25).abs() < 1e-12, "halfway down the cosine");
        assert!(rates[14..].iter().all(|&rate| rate == 0.5));
    }

    #[test]
    fn a_constant_rate_stays() {
        assert!([0, 1, 1 << 40].iter().all(|&step| Schedule::constant(0.3).at(step) == 0.3));
    }
}
