//! Models in a folder: weights, and the configuration that is beside or inside them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::bytes::ByteSource;
use super::open::CONFIG_KEY;
use super::weights::{StateKind, WeightFile};
use crate::error::{Error, Result};
use crate::files;

/// Names of a configuration; where a folder has several, the first of these is meant. The published ones are `config.yaml`;
/// the others come with checkpoints of taming-transformers.
const CONFIGS: [&str; 4] = ["config.yaml", "config.yml", "model.yaml", "model.yml"];
/// How taming-transformers ends the names of its own configurations, after their dates.
const CONFIG_ENDING: &str = "project.yaml";
/// Where it keeps them, beside its folder of checkpoints.
const CONFIG_FOLDER: &str = "../configs";
/// The checkpoints of a training run, in folders named after their steps.
const CHECKPOINTS: &str = "checkpoints";
/// The file of a model that carries its configuration.
const OWN: &str = "model.safetensors";
/// How names of weights end.
const WEIGHTS: [&str; 5] = ["pt", "pth", "ckpt", "bin", "safetensors"];
/// The file that is meant where a folder has several of weights: the first of these. Others there are an optimizer's, say.
const PREFERRED: [&str; 6] =
    ["model.pt", "model.safetensors", "model.ckpt", "model.pth", "pytorch_model.bin", "last.ckpt"];

/// A model on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The configuration beside the weights; `None` where they carry it.
    pub config: Option<PathBuf>,
    /// The weights.
    pub weights: PathBuf,
    /// What messages call the weights.
    pub shown: PathBuf,
}

/// The models in `folder` itself, not in folders below it: the one of its configuration, or else all weights that carry
/// theirs. Messages call the folder `shown`.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read; [`Error::Invalid`] if there is a configuration and not one file of weights
/// that can be meant.
pub(super) fn models(folder: &Path, shown: &Path) -> Result<Vec<ModelFiles>> {
    let weights = weights_in(folder)?;
    let config = match weights.first() {
        Some(weights) => config_of(weights)?,
        None => config_in(folder)?,
    };
    let model = |weights: &PathBuf| ModelFiles {
        config: config.clone(),
        weights: weights.clone(),
        shown: weights.file_name().map_or(shown.into(), |name| shown.join(name)),
    };
    if config.is_some() {
        return Ok(vec![model(meant(&weights, folder, shown)?)]);
    }
    Ok(weights.iter().filter(|path| carries_config(path)).map(model).collect())
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
    let carries_own = files::is_file(&model) && config_in(&checkpoint)?.is_none() && carries_config(&model);
    Ok(if carries_own { model } else { checkpoint })
}

/// The configuration that belongs to the weights at `path`: beside them, or where taming-transformers keeps it.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub(super) fn config_of(path: &Path) -> Result<Option<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match config_in(folder)? {
        Some(config) => Ok(Some(config)),
        None => Ok(config_in(&folder.join(CONFIG_FOLDER)).unwrap_or_default()),
    }
}

/// The configuration in `folder`, if there is one.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn config_in(folder: &Path) -> Result<Option<PathBuf>> {
    let found = files::list(folder)?;
    let named = |name: &&str| found.iter().find(|path| path.file_name() == Some(OsStr::new(name)));
    let by_ending = || found.iter().find(|path| is_config(path));
    Ok(CONFIGS.iter().find_map(named).or_else(by_ending).filter(|path| files::is_file(path)).cloned())
}

/// Whether the name of `path` is that of a configuration.
pub(super) fn is_config(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    !is_hidden(path) && (CONFIGS.contains(&&*name) || name.ends_with(CONFIG_ENDING))
}

/// The one of `weights` that is meant by the folder.
fn meant<'a>(weights: &'a [PathBuf], folder: &Path, shown: &Path) -> Result<&'a PathBuf> {
    let wrong = |what: String| Err(Error::invalid(format!("{}: {what}", shown.display())));
    let preferred = |name: &&str| weights.iter().find(|path| path.file_name() == Some(OsStr::new(name)));
    match weights {
        [only] => Ok(only),
        [] => wrong(format!("expected weights ({}) beside the configuration, found none", endings())),
        several => match PREFERRED.iter().find_map(preferred) {
            Some(weights) => Ok(weights),
            None => wrong(format!("expected one weight file, found {}: name one", listed(several, folder))),
        },
    }
}

/// The endings of weights, for messages.
pub(super) fn endings() -> String {
    WEIGHTS.map(|ending| format!(".{ending}")).join(", ")
}

fn carries_config(weights: &Path) -> bool {
    let is_safetensors = weights.extension().is_some_and(|ending| ending == "safetensors");
    let opened = || {
        let source = ByteSource::open(weights)?;
        WeightFile::from_source(&weights.display().to_string(), source, StateKind::Auto)
    };
    is_safetensors && opened().is_ok_and(|file| file.metadata().contains_key(CONFIG_KEY))
}

pub(super) fn weights_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = files::list(folder)?.into_iter();
    Ok(found.filter(|path| is_weights(path) && files::is_file(path)).collect())
}

pub(super) fn is_weights(path: &Path) -> bool {
    let is_known = |ending: &OsStr| WEIGHTS.iter().any(|known| ending.eq_ignore_ascii_case(known));
    !is_hidden(path) && path.extension().is_some_and(is_known)
}

/// Whether the name begins with a dot, as those of the resource forks that macOS puts beside files: `._model.pt`.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

pub(super) fn listed(paths: &[PathBuf], below: &Path) -> String {
    let names = paths.iter().map(|path| path.strip_prefix(below).unwrap_or(path).display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_has_the_model_of_its_configuration() {
        for (names, config, weights) in [
            (&["config.yaml", "model.pt"][..], "config.yaml", "model.pt"),
            (&["config.yml", "weights.pth"], "config.yml", "weights.pth"),
            (&["model.yaml", "last.ckpt", "epoch=3.ckpt"], "model.yaml", "last.ckpt"),
            (
                &["2020-11-20T12-54-32-project.yaml", "model.ckpt"],
                "2020-11-20T12-54-32-project.yaml",
                "model.ckpt",
            ),
            (&["config.yaml", "pytorch_model.bin", "optimizer.bin"], "config.yaml", "pytorch_model.bin"),
            (&["._config.yaml", "config.yaml", "._a.pt", "a.pt"], "config.yaml", "a.pt"),
        ] {
            let folder = folder_of(names);
            let found = models(folder.path(), Path::new("shown")).unwrap();
            let [ModelFiles { config: Some(found_config), weights: found_weights, shown }] = &found[..]
            else {
                panic!("{found:?}")
            };
            assert_eq!(
                (found_config, found_weights),
                (&folder.path().join(config), &folder.path().join(weights))
            );
            assert_eq!(shown, &Path::new("shown").join(weights));
            assert_eq!(config_of(found_weights).unwrap().as_ref(), Some(found_config));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (names, expected) in [
            (&["config.yaml"][..], "shown: expected weights (.pt, .pth, .ckpt, .bin, .safetensors) beside"),
            (&["config.yaml", "a.pt", "b.pt"], "shown: expected one weight file, found a.pt, b.pt: name one"),
        ] {
            let message = models(folder_of(names).path(), Path::new("shown")).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
        assert!(models(folder_of(&["a.pt", "b.safetensors"]).path(), Path::new("")).unwrap().is_empty());
        let none = tempfile::tempdir().unwrap().path().join("none");
        assert!(matches!(models(&none, &none), Err(Error::Io { .. })));
    }

    #[test]
    fn a_run_of_taming_keeps_its_configuration_apart() {
        let folder = folder_of(&["checkpoints/last.ckpt", "configs/2021-01-01T00-00-00-project.yaml"]);
        let config = config_of(&folder.path().join("checkpoints/last.ckpt")).unwrap().unwrap();
        assert!(config.ends_with("2021-01-01T00-00-00-project.yaml"));
        let found = models(&folder.path().join("checkpoints"), Path::new("run/checkpoints")).unwrap();
        assert_eq!((found.len(), &found[0].config), (1, &Some(config)));
    }
}
