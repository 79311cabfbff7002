//! Several sampling settings in one command.

use std::fmt::Display;
use std::str::FromStr;

use super::super::options::SamplingArguments;
use residua_core::error::{Error, Result};

/// One setting and the values to try in turn, written as `top-k=100,300`.
#[derive(Clone, Debug, PartialEq)]
pub enum Sweep {
    Temperature(Vec<f32>),
    TopK(Vec<usize>),
    TopP(Vec<f32>),
    Guidance(Vec<f32>),
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, given) = text.split_once('=').ok_or("expected NAME=V,V.., such as top-k=100,300")?;
        match name {
            "temperature" => values(given).map(Self::Temperature),
            "top-k" => values(given).map(Self::TopK),
            "top-p" => values(given).map(Self::TopP),
            "guidance" => values(given).map(Self::Guidance),
            _ => Err(format!("expected temperature, top-k, top-p or guidance, found {name}")),
        }
    }
}

fn values<T: FromStr>(text: &str) -> Result<Vec<T>, String> {
    let value = |value: &str| value.trim().parse().map_err(|_| format!("expected numbers, found {value:?}"));
    text.split(',').map(value).collect()
}

/// All combinations of `sweeps` over `base`, each with a name such as `top-k-100_top-p-0.9`; the name is
/// empty without sweeps.
///
/// # Errors
/// `base` or an earlier sweep already sets what a sweep sets.
pub fn settings(sweeps: &[Sweep], base: &SamplingArguments) -> Result<Vec<(String, SamplingArguments)>> {
    let mut all = vec![(String::new(), base.clone())];
    for sweep in sweeps {
        if all.iter().any(|(_, sampling)| sweep.is_set(sampling)) {
            let name = sweep.name();
            return Err(Error::usage(format!(
                "--sweep {name}: expected {name} only once, found it in another option, too: give all its values in one --sweep"
            )));
        }
        all = all.iter().flat_map(|(name, sampling)| sweep.over(name, sampling)).collect();
    }
    Ok(all)
}

impl Sweep {
    /// The setting's name.
    fn name(&self) -> &'static str {
        match self {
            Self::Temperature(_) => "temperature",
            Self::TopK(_) => "top-k",
            Self::TopP(_) => "top-p",
            Self::Guidance(_) => "guidance",
        }
    }

    /// True if `sampling` already has a value for it.
    fn is_set(&self, sampling: &SamplingArguments) -> bool {
        match self {
            Self::Temperature(_) => sampling.temperature.is_some(),
            Self::TopK(_) => sampling.top_k.is_some(),
            Self::TopP(_) => sampling.top_p.is_some(),
            Self::Guidance(_) => sampling.guidance.is_some(),
        }
    }

    /// `sampling` with each of the values in turn.
    fn over(&self, name: &str, sampling: &SamplingArguments) -> Vec<(String, SamplingArguments)> {
        fn each<T: Copy + Display>(
            values: &[T],
            with: impl Fn(T) -> SamplingArguments,
            label: impl Fn(String) -> String,
        ) -> Vec<(String, SamplingArguments)> {
            values.iter().map(|&value| (label(value.to_string()), with(value))).collect()
        }
        let key = self.name();
        let label = |value: String| match name {
            "" => format!("{key}-{value}"),
            name => format!("{name}_{key}-{value}"),
        };
        match self {
            Self::Temperature(values) => each(
                values,
                |value| SamplingArguments { temperature: Some(vec![value]), ..sampling.clone() },
                label,
            ),
            Self::TopK(values) => each(
                values,
                |value| SamplingArguments { top_k: Some(vec![value]), ..sampling.clone() },
                label,
            ),
            Self::TopP(values) => each(
                values,
                |value| SamplingArguments { top_p: Some(vec![value]), ..sampling.clone() },
                label,
            ),
            Self::Guidance(values) => each(
                values,
                |value| SamplingArguments { guidance: Some(vec![value]), ..sampling.clone() },
                label,
            ),
        }
    }
}
