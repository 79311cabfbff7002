//! A published model in its folder: configuration and weights.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;

pub(super) const CONFIG: &str = "config.yaml";
/// The checkpoints of a training run, in folders named after their steps.
const CHECKPOINTS: &str = "checkpoints";
/// The file of a model that carries its configuration.
const OWN: &str = "model.safetensors";
const WEIGHTS: [&str; 2] = ["pt", "safetensors"];
/// The file that is meant where a folder has several of weights: the first of these.
const PREFERRED: [&str; 2] = ["model.pt", "model.safetensors"];

/// A model on disk, as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.yaml`.
    pub config: PathBuf,
    /// The `.pt` or safetensors beside it.
    pub weights: PathBuf,
}

/// Finds the model in `folder` itself, not in folders below it.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read; [`Error::Invalid`] if `config.yaml` or weights are missing, or if
/// there are several weight files and none is called `model.pt` or `model.safetensors`.
pub fn find(folder: &Path) -> Result<ModelFiles> {
    find_as(folder, folder)
}

/// What `folder` stands for: that of a training run for the model of its latest checkpoint, as the folder of a checkpoint
/// does for its own; any other for itself.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub(super) fn latest(folder: &Path) -> Result<PathBuf> {
    let checkpoints = folder.join(CHECKPOINTS);
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u64>().ok();
    let last = match files::exists(&checkpoints) {
        true => {
            files::list(&checkpoints)?.into_iter().filter(|path| number(path).is_some()).max_by_key(number)
        }
        false => None,
    };
    let checkpoint = last.unwrap_or_else(|| folder.into());
    let model = checkpoint.join(OWN);
    let carries_own = files::is_file(&model) && !files::is_file(&checkpoint.join(CONFIG));
    Ok(if carries_own { model } else { checkpoint })
}

/// [`find`], with another name for the folder in messages.
pub(super) fn find_as(folder: &Path, shown: &Path) -> Result<ModelFiles> {
    let wrong = |what: String| Error::invalid(format!("{}: {what}", shown.display()));
    let weights = match &weights_in(folder)?[..] {
        [only] => only.clone(),
        [] => return Err(wrong("expected a .pt or .safetensors file, found none".into())),
        several => PREFERRED
            .iter()
            .find_map(|name| several.iter().find(|path| path.file_name() == Some(OsStr::new(name))))
            .ok_or_else(|| {
                wrong(format!("expected one weight file, found {}: name one", listed(several, folder)))
            })?
            .clone(),
    };
    let config = folder.join(CONFIG);
    if !files::is_file(&config) {
        return Err(wrong(format!("expected {CONFIG} beside the weights, found none")));
    }
    Ok(ModelFiles { config, weights })
}

pub(super) fn weights_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = files::list(folder)?.into_iter();
    Ok(found.filter(|path| is_weights(path) && files::is_file(path)).collect())
}

pub(super) fn is_weights(path: &Path) -> bool {
    path.extension().is_some_and(|extension| WEIGHTS.iter().any(|known| extension == *known))
}

pub(super) fn listed(paths: &[PathBuf], below: &Path) -> String {
    let names = paths.iter().map(|path| path.strip_prefix(below).unwrap_or(path).display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_searched() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rqt-class");
        let found = find(Path::new(folder)).unwrap();
        assert!(found.weights.ends_with("model.pt") && found.config.ends_with("config.yaml"));
        assert!(matches!(find(&Path::new(folder).join("none")), Err(Error::Io { .. })));
    }
}
