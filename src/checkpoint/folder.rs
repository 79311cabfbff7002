//! A published model in its folder: configuration and weights.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;

pub(super) const CONFIG: &str = "config.yaml";
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
