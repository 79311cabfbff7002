//! Compares a model's outputs with those of the published implementation.

pub(crate) mod golden;
mod stage1;
mod stage2;
mod tables;
mod training;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::Serialize;

use golden::Golden;
use residua_core::config::{ModelConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_core::text::shown_path;
use residua_kernels::device::is_cpu;
use residua_model::Checkpoint;
use residua_weights::folder::config_in;

/// One output compared.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The output's name in `golden.safetensors`.
    pub name: String,
    /// Largest absolute difference; for codes, how many differ.
    pub difference: f64,
    /// What `difference` must not exceed.
    pub tolerance: f64,
    /// Codes that differ where the two best choices are nearly equal.
    pub ties: usize,
    /// True if the output agrees.
    pub ok: bool,
}

/// All outputs of one case.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The folder.
    #[serde(serialize_with = "shown_path")]
    pub folder: PathBuf,
    /// Its comparisons.
    pub comparisons: Vec<Comparison>,
}

impl Case {
    /// True if everything agrees and there was something to compare.
    pub fn ok(&self) -> bool {
        !self.comparisons.is_empty() && self.comparisons.iter().all(|comparison| comparison.ok)
    }
}

impl Comparison {
    /// Compares values, with a tolerance relative to the largest expected magnitude.
    fn of_values(name: &str, found: &[f32], expected: &[f32], relative: f64) -> Self {
        let finite = expected.iter().filter(|x| x.is_finite());
        let largest = finite.fold(0.0f64, |most, &x| most.max(f64::from(x).abs()));
        let tolerance = relative * largest;
        let same_length = found.len() == expected.len();
        // Codes that a depth does not have get minus infinity, whose difference to itself is NaN.
        let difference = |a: f32, b: f32| if a == b { 0.0 } else { (f64::from(a) - f64::from(b)).abs() };
        let differences = found.iter().zip(expected).map(|(&a, &b)| difference(a, b));
        // A NaN must not be lost: `max` would drop it.
        let worst = |most: f64, x: f64| if x.is_nan() || x > most { x } else { most };
        let difference = if same_length { differences.fold(0.0, worst) } else { f64::INFINITY };
        Self { name: name.into(), difference, tolerance, ties: 0, ok: difference <= tolerance }
    }

    /// Compares codes, of which `wrong` really differ and `ties` are near ties.
    fn of_codes(name: &str, wrong: usize, ties: usize) -> Self {
        Self { name: name.into(), difference: wrong as f64, tolerance: 0.0, ties, ok: wrong == 0 }
    }
}

/// Relative tolerance of values on `device`.
pub fn tolerance(device: &Device) -> f64 {
    if is_cpu(device) { 2e-4 } else { 1e-3 }
}

/// The cases in `folder`: itself, or the folders in it, two levels deep.
pub fn cases(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, 2, &mut found)?;
    found.sort();
    if found.is_empty() {
        return Err(Error::invalid(format!(
            "{}: expected golden.safetensors (or golden.json of tokenizers) in it, found none",
            folder.display()
        )));
    }
    Ok(found)
}

fn collect(folder: &Path, levels: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if ["golden.safetensors", "golden.json"].iter().any(|name| folder.join(name).is_file()) {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if levels > 0 && path.is_dir() {
            collect(&path, levels - 1, found)?;
        }
    }
    Ok(())
}

/// Compares every output of the case in `folder`.
pub async fn verify(
    folder: &Path,
    rqvae: Option<&str>,
    device: &Device,
    task: &mut Task<'_>,
) -> Result<Case> {
    if folder.join("golden.json").is_file() {
        return tables::tokenizers(folder);
    }
    let golden = Golden::open(&folder.join("golden.safetensors"))?;
    if config_in(folder)?.is_none() {
        return tables::sampling_filter(folder, &golden);
    }
    let open = |kind| Checkpoint::open(&folder.display().to_string(), None, kind);
    let checkpoint = open(StateKind::Auto)?;
    // If there is a moving average, the outputs are from it.
    let checkpoint = if checkpoint.weights.available().ema { open(StateKind::Ema)? } else { checkpoint };
    let comparisons = match checkpoint.config.model {
        ModelConfig::RqVae(_) => stage1::verify(checkpoint, &golden, device, task).await?,
        ModelConfig::RqTransformer(_) => stage2::verify(checkpoint, &golden, rqvae, device, task).await?,
    };
    Ok(Case { folder: folder.to_path_buf(), comparisons })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_beyond_the_tolerance_fails() {
        let expected = [1.0, -2.0, 0.5];
        assert!(Comparison::of_values("x", &[1.0, -2.0003, 0.5], &expected, 2e-4).ok);
        assert!(!Comparison::of_values("x", &[1.0, -2.0005, 0.5], &expected, 2e-4).ok);
        assert!(!Comparison::of_values("x", &[1.0, f32::NAN, 0.5], &expected, 2e-4).ok);
        assert!(!Comparison::of_values("x", &[1.0, -2.0], &expected, 2e-4).ok);
        let masked = [f32::NEG_INFINITY, 1.0];
        assert!(Comparison::of_values("x", &masked, &masked, 2e-4).ok);
        assert!(!Comparison::of_values("x", &[0.0, 1.0], &masked, 2e-4).ok);
        assert!(!Comparison::of_codes("c", 1, 0).ok);
        assert!(Comparison::of_codes("c", 0, 3).ok);
    }
}
