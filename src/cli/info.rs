//! `residua info`: what is in a checkpoint.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::output::Console;
use super::words::{WEIGHTS, one_of};
use residua_core::config::{DefaultSampling, StateKind};
use residua_core::error::Result;
use residua_core::sampling::Filter;
use residua_core::text::{grouped, size};
use residua_io::assets::bundled;
use residua_model::checkpoint::convert::fitting;
use residua_model::{Checkpoint, Parameter};

/// Show a checkpoint's configuration, parameter counts, memory use and tensors.
#[derive(Args)]
pub struct Info {
    /// Model: a bundled name (characters-128, characters-128-ar), a folder, or a .pt, .safetensors or
    /// .tar.gz file.
    #[arg(default_value = bundled::BUNDLED[0].name)]
    model: String,
    /// Weights to describe: the trained ones, or their moving average (EMA).
    #[arg(long, value_parser = one_of(WEIGHTS), default_value = "auto")]
    weights: StateKind,
    /// List every tensor in the file.
    #[arg(long)]
    tensors: bool,
}

impl Info {
    /// Describes each model in the checkpoint, and fails if one does not fit its configuration.
    pub fn run(&self, console: &Console) -> Result<()> {
        let checkpoints = Checkpoint::open_all(&self.model, None, self.weights)?;
        let mut values = Vec::new();
        let mut texts = Vec::new();
        for checkpoint in &checkpoints {
            checkpoint.warn_of_average()?;
            let (value, text) = self.describe(checkpoint)?;
            values.push(value);
            texts.push(text);
        }
        console.result(json!(values), &texts.join("\n\n"))?;
        checkpoints.iter().try_for_each(|checkpoint| fitting(checkpoint).map(drop))
    }

    fn describe(&self, checkpoint: &Checkpoint) -> Result<(Value, String)> {
        let parameters = checkpoint.parameters()?;
        let parts = by_part(parameters);
        let total: usize = parts.values().sum();
        let weights = &checkpoint.weights;
        let tensors: Vec<Value> = weights
            .tensors()
            .iter()
            .map(|info| json!({"name": info.name, "dtype": info.dtype.to_string(), "shape": info.shape}))
            .collect();
        let available = weights.available();
        let sampling = checkpoint.rqtransformer().ok().map(|config| &config.sampling);
        let value = json!({
            "name": checkpoint.name, "file": weights.name(), "config": checkpoint.config.document, "parameters": total, "by_part": parts,
            "memory_f32": 4 * total, "memory_f16": 2 * total, "memory_q8": total + total / 8,
            "weights": format!("{:?}", weights.kind()).to_lowercase(),
            "has_state": available.state, "has_ema": available.ema, "sampling": sampling,
            "licence": checkpoint.licence(), "tensors": tensors,
        });
        let mut lines = vec![format!("{}\n", weights.name())];
        lines.push(outline(&checkpoint.config.document, 1));
        lines.push(format!("\nparameters {:>14}", grouped(total)));
        lines.extend(parts.iter().map(|(part, count)| format!("  {part:<22} {:>14}", grouped(*count))));
        let bytes = total as u64;
        let [f32, f16, q8] = [4 * bytes, 2 * bytes, bytes + bytes / 8].map(size);
        lines.push(format!("memory     {f32} in f32, {f16} in f16, {q8} in q8"));
        lines.push(format!(
            "weights    {:?} (in the file: state {}, moving average {})",
            weights.kind(),
            yes_no(available.state),
            yes_no(available.ema)
        ));
        lines.extend(sampling.into_iter().flat_map(drawn));
        lines.extend(checkpoint.licence().map(|licence| format!("licence    {licence}")));
        lines.push(format!("tensors    {} in the file, {} read", weights.tensors().len(), parameters.len()));
        if self.tensors {
            let listed = weights.tensors().iter();
            lines
                .extend(listed.map(|info| format!("  {:<50} {:<5} {:?}", info.name, info.dtype, info.shape)));
        }
        Ok((value, lines.join("\n")))
    }
}

/// The default sampling settings, also of the revisions if they have their own, and the section of the configuration
/// that they come from.
fn drawn(sampling: &DefaultSampling) -> Vec<String> {
    let line = |name, filters| format!("{name:<10} {} ({})", described(filters), sampling.from.key());
    let revise = sampling.revise.iter().map(|filters| line("revisions", filters));
    [line("sampling", &sampling.filters)].into_iter().chain(revise).collect()
}

/// Filters, with one value for all depths or one for each.
fn described(filters: &[Filter]) -> String {
    let of = |value: fn(&Filter) -> String| {
        let mut values: Vec<String> = filters.iter().map(value).collect();
        if values.windows(2).all(|two| two[0] == two[1]) {
            values.truncate(1);
        }
        values.join(",")
    };
    format!(
        "temperature {}, top-k {}, top-p {}, guidance {}",
        of(|filter| filter.temperature.to_string()),
        of(|filter| if filter.top_k == 0 { "all".into() } else { filter.top_k.to_string() }),
        of(|filter| match filter.top_p {
            0.0 => "all".into(),
            Filter::ONLY_THE_LIKELIEST => "the most likely code".into(),
            mass => mass.to_string(),
        }),
        of(|filter| match filter.guidance {
            1.0 => "none".into(),
            scale => scale.to_string(),
        })
    )
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Parameter counts by the first part of each name.
fn by_part(parameters: &[Parameter]) -> BTreeMap<String, usize> {
    let mut parts = BTreeMap::new();
    for parameter in parameters {
        let part = parameter.name.split('.').next().unwrap_or_default().to_string();
        *parts.entry(part).or_insert(0) += parameter.shape.iter().product::<usize>();
    }
    parts
}

/// A configuration as indented lines.
fn outline(value: &Value, level: usize) -> String {
    let Value::Object(fields) = value else { return String::new() };
    let indent = "  ".repeat(level);
    let lines = fields.iter().map(|(key, field)| match field {
        Value::Object(_) => format!("{indent}{key}\n{}", outline(field, level + 1)),
        field => format!("{indent}{key}: {field}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
