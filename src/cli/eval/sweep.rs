//! Several sampling settings in one command.

use std::fmt::Display;
use std::str::FromStr;

use super::super::options::SamplingArguments;

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
pub fn settings(sweeps: &[Sweep], base: &SamplingArguments) -> Vec<(String, SamplingArguments)> {
    let mut all = vec![(String::new(), base.clone())];
    for sweep in sweeps {
        all = all.iter().flat_map(|(name, sampling)| sweep.over(name, sampling)).collect();
    }
    all
}

impl Sweep {
    /// `sampling` with each of the values in turn.
    fn over(&self, name: &str, sampling: &SamplingArguments) -> Vec<(String, SamplingArguments)> {
        fn each<T: Copy + Display>(
            values: &[T],
            with: impl Fn(T) -> SamplingArguments,
            label: impl Fn(String) -> String,
        ) -> Vec<(String, SamplingArguments)> {
            values.iter().map(|&value| (label(value.to_string()), with(value))).collect()
        }
        let label = |key: &str, value: String| match name {
            "" => format!("{key}-{value}"),
            name => format!("{name}_{key}-{value}"),
        };
        match self {
            Self::Temperature(values) => each(
                values,
                |value| SamplingArguments { temperature: Some(vec![value]), ..sampling.clone() },
                |value| label("temperature", value),
            ),
            Self::TopK(values) => each(
                values,
                |value| SamplingArguments { top_k: Some(vec![value]), ..sampling.clone() },
                |value| label("top-k", value),
            ),
            Self::TopP(values) => each(
                values,
                |value| SamplingArguments { top_p: Some(vec![value]), ..sampling.clone() },
                |value| label("top-p", value),
            ),
            Self::Guidance(values) => each(
                values,
                |value| SamplingArguments { guidance: Some(vec![value]), ..sampling.clone() },
                |value| label("guidance", value),
            ),
        }
    }
}
