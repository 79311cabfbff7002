//! Section `loss`: the targets of the RQ-Transformer, and their weights.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::ranges::none_negative;
use residua_core::error::{Error, Result};

/// Range of the temperature of soft targets, which are computed in f32.
const TEMPERATURES: RangeInclusive<f64> = 1e-6..=1e6;

/// Section `loss`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// Hard or soft targets (paper section 3.2.2).
    #[serde(rename = "type")]
    pub kind: LossKind,
    /// Temperature of the soft targets.
    pub temp: Option<f64>,
    /// True if the input codes are sampled at that temperature too.
    pub stochastic_codes: bool,
    /// Weight of the caption's likelihood.
    pub txt_weight: Option<f64>,
    /// Weight of the codes' likelihood.
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

impl Loss {
    /// Refuses invalid values.
    pub(super) fn check(&self) -> Result<()> {
        let temperature = self.temp.unwrap_or(1.0);
        if !TEMPERATURES.contains(&temperature) {
            return Err(Error::invalid(format!(
                "loss.temp: expected {} to {}, found {temperature}",
                TEMPERATURES.start(),
                TEMPERATURES.end()
            )));
        }
        none_negative(&[
            ("loss.txt_weight", self.txt_weight.unwrap_or(0.0)),
            ("loss.img_weight", self.img_weight.unwrap_or(0.0)),
        ])
    }
}
