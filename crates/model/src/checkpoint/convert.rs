//! Converts published checkpoints to safetensors, with only the tensors that the model reads and the
//! configuration inside the file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use half::f16;

use super::describe::described;
use crate::{Checkpoint, Parameter};
use residua_core::error::{Error, Result};
use residua_weights::write::{Described, write_safetensors_into};
use residua_weights::{CONFIG_KEY, Dtype};

/// Writes `checkpoint` to `out`, which is or will be the file `name`. `dtype` is `F32` or `F16`; with `F16`, vectors
/// (biases and gains) stay `F32`. Only one tensor is in memory at a time. `progress` receives the element
/// count of each tensor.
///
/// # Errors
/// A tensor that the model reads is missing or has the wrong shape (all are listed), or `out` cannot be
/// written.
pub fn convert(
    checkpoint: &Checkpoint,
    out: &mut dyn Write,
    name: &Path,
    dtype: Dtype,
    mut progress: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let parameters = fitting(checkpoint)?;
    let mut tensors: Vec<Described> = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let stored = checkpoint.weights.get(&parameter.name).expect("checked just above");
        let dtype = if parameter.shape.len() > 1 { dtype } else { Dtype::F32 };
        tensors.push((parameter.name.clone(), dtype, stored.shape.clone()));
    }
    let dtypes: BTreeMap<&str, Dtype> =
        tensors.iter().map(|(name, dtype, _)| (name.as_str(), *dtype)).collect();
    let metadata = BTreeMap::from([
        (CONFIG_KEY.to_string(), described(checkpoint, name)?.to_string()),
        ("format".to_string(), "residua".to_string()),
    ]);
    write_safetensors_into(out, name, &tensors, &metadata, |name| {
        let bytes = match dtypes[name] {
            Dtype::F16 => Elements::Half(halved(checkpoint, name)?),
            _ => Elements::Single(checkpoint.weights.read_f32(name)?),
        };
        progress(checkpoint.weights.get(name).map_or(0, |info| info.shape.iter().product()))?;
        Ok(bytes)
    })
}

/// Half precision ends at 65504: a larger weight is refused rather than made infinite.
fn halved(checkpoint: &Checkpoint, name: &str) -> Result<Vec<f16>> {
    let values: Vec<f16> = checkpoint.weights.read_f16(name)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::invalid(format!(
            "{}: {name} has values beyond half precision's range, or NaN; convert to f32",
            checkpoint.name
        )));
    }
    Ok(values)
}

/// A tensor's elements, whose bytes are written without a copy.
enum Elements {
    Single(Vec<f32>),
    Half(Vec<f16>),
}

impl AsRef<[u8]> for Elements {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Single(values) => bytemuck::cast_slice(values),
            Self::Half(values) => bytemuck::cast_slice(values),
        }
    }
}

/// The parameters that the model reads from `checkpoint`.
///
/// # Errors
/// A tensor is missing or has the wrong shape; all such tensors are listed.
pub fn fitting(checkpoint: &Checkpoint) -> Result<&[Parameter]> {
    let parameters = checkpoint.parameters()?;
    let misfits: Vec<String> = parameters
        .iter()
        .filter_map(|parameter| match checkpoint.weights.get(&parameter.name) {
            None => Some(format!("{} is missing", parameter.name)),
            Some(info) if !fits(&info.shape, &parameter.shape) => {
                Some(format!("{} is {:?}, expected {:?}", parameter.name, info.shape, parameter.shape))
            }
            Some(_) => None,
        })
        .collect();
    if misfits.is_empty() {
        return Ok(parameters);
    }
    let more = misfits.len().saturating_sub(4);
    let first = misfits.into_iter().take(4).collect::<Vec<_>>().join("; ");
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(Error::invalid(format!("{} does not fit its configuration: {first}{rest}", checkpoint.name)))
}

/// A codebook may be stored without its padding row.
fn fits(found: &[usize], expected: &[usize]) -> bool {
    found == expected || matches!((found, expected), ([k, c], [rows, dim]) if c == dim && k + 1 == *rows)
}
