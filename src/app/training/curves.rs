//! The metrics of a run as curves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use residua_engine::train::HELD_OUT;

/// The metric that is shown unless another one is chosen.
pub const LOSS: &str = "loss";

/// Entries of a line of metrics that are not metrics.
const NOT_METRICS: [&str; 2] = ["step", "lr"];

/// A point of a curve: steps taken, value.
pub type Point = [f64; 2];

/// Values of all metrics, for the steps at which they were measured.
#[derive(Default)]
pub struct Curves(BTreeMap<String, Vec<Point>>);

impl Curves {
    /// The curves in the `lines` of a run's metrics.
    pub fn of(lines: &[Value]) -> Self {
        let mut curves = Self::default();
        for line in lines {
            let (Some(step), Some(entries)) = (line["step"].as_f64(), line.as_object()) else { continue };
            let metrics = entries.iter().filter(|(name, _)| !NOT_METRICS.contains(&name.as_str()));
            for (name, value) in metrics.filter_map(|(name, value)| Some((name, value.as_f64()?))) {
                curves.add(step, name, value);
            }
        }
        curves
    }

    /// Adds the value of the metric `name` after `step` steps.
    pub fn add(&mut self, step: f64, name: &str, value: f64) {
        match self.0.get_mut(name) {
            Some(curve) => curve.push([step, value]),
            None => drop(self.0.insert(name.into(), vec![[step, value]])),
        }
    }

    /// The names of all metrics, each once, whether measured in training, on held-out pictures or both.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(|name| name.strip_prefix(HELD_OUT).unwrap_or(name)).collect()
    }

    /// The metric `name` after each step of training; empty if it is not measured there.
    pub fn training(&self, name: &str) -> &[Point] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The metric `name` on held-out pictures; empty if it is not measured there.
    pub fn held_out(&self, name: &str) -> &[Point] {
        self.training(&format!("{HELD_OUT}{name}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_metric_has_a_curve_for_training_and_one_for_held_out_pictures() {
        let mut curves = Curves::of(&[
            json!({ "step": 1, "lr": 0.1, "loss": 4.0 }),
            json!({ "step": 2, "lr": 0.1, "loss": 2.0, "held_out_loss": 3.0, "held_out_psnr": 9.0 }),
            json!("no metrics"),
        ]);
        curves.add(3.0, "loss", 1.0);
        assert!(curves.names().into_iter().eq(["loss", "psnr"]));
        assert_eq!(curves.training(LOSS), [[1.0, 4.0], [2.0, 2.0], [3.0, 1.0]]);
        assert_eq!(curves.held_out(LOSS), [[2.0, 3.0]]);
        assert_eq!((curves.training("psnr"), curves.held_out("psnr")), (&[][..], &[[2.0, 9.0]][..]));
    }
}
