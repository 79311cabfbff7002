//! Checkpoints of a run: each is written as a whole or not at all, and the latest ones are kept.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{RunFolder, Tensors};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_weights::write::{Described, write_safetensors};
use residua_weights::{Dtype, WeightFile};

/// How many checkpoints to keep: the latest ones.
const KEPT: usize = 2;

/// Extension of a checkpoint's folder until it is complete.
const PART: &str = "part";

/// The metadata key for the step count in a training file.
const STEPS: &str = "steps";

impl RunFolder {
    pub(super) fn checkpoint(&self, step: u64) -> PathBuf {
        self.root.join("checkpoints").join(format!("{step:08}"))
    }

    /// Steps that have complete checkpoints, in order.
    fn checkpoints(&self) -> Result<Vec<u64>> {
        let folder = self.root.join("checkpoints");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&folder).map_err(Error::io("read", &folder))?;
        let named = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        let mut steps: Vec<u64> = entries.filter_map(named).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Step of the latest checkpoint, or 0 if there are no checkpoints.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn taken(&self) -> Result<u64> {
        Ok(self.checkpoints()?.last().copied().unwrap_or(0))
    }

    /// Path of the latest checkpoint.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        Ok(self.checkpoints()?.last().map(|&step| self.checkpoint(step)))
    }

    /// Writes the checkpoint for `step` as a whole or not at all, then removes older ones.
    ///
    /// # Errors
    /// The disk is full or not writable; earlier checkpoints stay.
    pub fn save(&self, step: u64, document: &Value, model: &Tensors, training: &Tensors) -> Result<PathBuf> {
        let target = self.checkpoint(step);
        // Not a number, so a leftover of a killed process is never taken for a checkpoint.
        let part = target.with_extension(PART);
        let prepared = self.forget_parts().and_then(|()| files::create_folder(&part)).and_then(|()| {
            let text = document.to_string();
            let metadata = [("config", text.as_str()), ("format", "residua")];
            write(&part.join("model.safetensors"), model, &metadata)?;
            write(&part.join("training.safetensors"), training, &[(STEPS, &step.to_string())])
        });
        if let Err(error) = prepared {
            remove(&part)?;
            return Err(error);
        }
        remove(&target)?;
        fs::rename(&part, &target).map_err(Error::io("write", &target))?;
        let steps = self.checkpoints()?;
        for &old in &steps[..steps.len().saturating_sub(KEPT)] {
            remove(&self.checkpoint(old))?;
        }
        Ok(target)
    }

    /// Removes what killed processes left of checkpoints, of any step.
    fn forget_parts(&self) -> Result<()> {
        let folder = self.root.join("checkpoints");
        let all = if folder.is_dir() { files::list(&folder)? } else { Vec::new() };
        let is_part = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == PART);
        all.iter().filter(is_part).try_for_each(|path| remove(path))
    }

    /// Removes the checkpoint before the first step, which holds what a run took over from another.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget_start(&self) -> Result<()> {
        remove(&self.checkpoint(0))
    }
}

/// The step count of a training file.
///
/// # Errors
/// The file has no step count.
pub fn steps_of(training: &WeightFile) -> Result<u64> {
    let steps = training.metadata().get(STEPS).and_then(|steps| steps.parse().ok());
    steps.ok_or_else(|| Error::invalid(format!("{}: expected a step count, found none", training.name())))
}

/// Opens the training file of a checkpoint.
///
/// # Errors
/// The file is missing or cannot be read.
pub fn open_training(checkpoint: &Path) -> Result<WeightFile> {
    WeightFile::open(&checkpoint.join("training.safetensors"), StateKind::Auto)
}

fn write(path: &Path, tensors: &Tensors, metadata: &[(&str, &str)]) -> Result<()> {
    let described: Vec<Described> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), Dtype::F32, shape.clone())).collect();
    let values: BTreeMap<&str, &Vec<f32>> =
        tensors.iter().map(|(name, _, values)| (name.as_str(), values)).collect();
    let metadata = metadata.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    write_safetensors(path, &described, &metadata, |name| Ok(bytemuck::cast_slice::<f32, u8>(values[name])))
}

/// Removes a folder if it is there. A file in its place stays; whoever then creates the folder reports it.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Error::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}
