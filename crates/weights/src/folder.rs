//! Models in a folder: weights, with the configuration beside or inside them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{shards, st};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::files::bytes::ByteSource;
use residua_core::text::some_of;

/// Names of configurations; if a folder has several, the first of these wins. Published models use
/// `config.yaml`; the others come with taming-transformers checkpoints, the last with Lightning's.
const CONFIGS: [&str; 5] = ["config.yaml", "config.yml", "model.yaml", "model.yml", "hparams.yaml"];
/// A configuration in JSON. Other programs' models have one of this name, too, so it only counts if it is one of ours.
const JSON: &str = "config.json";
/// The key that every configuration of ours has.
const ARCH: &str = "arch";
/// Size limit of a configuration, in bytes.
const LONGEST_CONFIG: u64 = 1 << 20;
/// How taming-transformers ends the names of its configurations, after their dates.
const CONFIG_ENDING: &str = "project.yaml";
/// Where taming-transformers keeps them, relative to its checkpoint folder.
const CONFIG_FOLDER: &str = "../configs";
/// The folder of a training run's checkpoints: ours are in subfolders named after their steps, Lightning's are
/// files.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// The file of a model that carries its configuration.
const OWN: &str = "model.safetensors";
/// File extensions of weights.
const WEIGHTS: [&str; 5] = ["pt", "pth", "ckpt", "bin", "safetensors"];
/// If a folder has several weight files, the first of these wins. The others there may be an optimizer's, for
/// example.
const PREFERRED: [&str; 8] = [
    "model.pt",
    "model.safetensors",
    "model.safetensors.index.json",
    "model.ckpt",
    "model.pth",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "last.ckpt",
];

/// A model on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The configuration beside the weights; `None` if the weights carry it.
    pub config: Option<PathBuf>,
    /// The weights.
    pub weights: PathBuf,
    /// The name of the weights in messages.
    pub shown: PathBuf,
}

/// The models in `folder` itself, or else in its folder of checkpoints, but not in other subfolders: the one that
/// its configuration describes, or else all weights that carry their own. Messages call the folder `shown`.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read; [`Error::Invalid`] if there is a configuration but no
/// unambiguous weight file.
pub fn models(folder: &Path, shown: &Path) -> Result<Vec<ModelFiles>> {
    let weights = weights_of(folder)?;
    let config = match weights.first() {
        Some(weights) => config_of(weights)?,
        None => config_in(folder)?,
    };
    let model = |weights: &PathBuf| ModelFiles {
        config: config.clone(),
        weights: weights.clone(),
        shown: weights.strip_prefix(folder).map_or(shown.into(), |name| shown.join(name)),
    };
    if config.is_some() {
        return Ok(vec![model(meant(&weights, folder, shown)?)]);
    }
    Ok(weights.iter().filter(|path| carries_config(path)).map(model).collect())
}

/// Resolves `folder`: the folder of a training run becomes the model of its latest checkpoint, the folder of
/// a checkpoint becomes its model, and any other stays as it is.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn latest(folder: &Path) -> Result<PathBuf> {
    let checkpoints = folder.join(CHECKPOINTS);
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u64>().ok();
    let inside = if files::exists(&checkpoints) { files::list(&checkpoints)? } else { Vec::new() };
    let last = inside.into_iter().filter(|path| number(path).is_some()).max_by_key(number);
    let checkpoint = last.unwrap_or_else(|| folder.into());
    let model = checkpoint.join(OWN);
    let carries_own = files::is_file(&model) && config_in(&checkpoint)?.is_none() && carries_config(&model);
    Ok(if carries_own { model } else { checkpoint })
}

/// The configuration for the weights at `path`: beside them, or where taming-transformers or Lightning keeps
/// it.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn config_of(path: &Path) -> Result<Option<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(config) = config_in(folder)? {
        return Ok(Some(config));
    }
    let above = folder.ends_with(CHECKPOINTS).then(|| folder.join(".."));
    let mut others = std::iter::once(folder.join(CONFIG_FOLDER)).chain(above);
    Ok(others.find_map(|folder| config_in(&folder).ok().flatten()))
}

/// The configuration in `folder`, if any.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn config_in(folder: &Path) -> Result<Option<PathBuf>> {
    let found = files::list(folder)?;
    let named = |name: &&str| found.iter().find(|path| path.file_name() == Some(OsStr::new(name)));
    let by_ending = || found.iter().find(|path| is_project(path));
    let in_json = || named(&JSON).filter(|path| is_ours(path));
    let config = CONFIGS.iter().find_map(named).or_else(by_ending).filter(|path| files::is_file(path));
    Ok(config.or_else(in_json).cloned())
}

/// Whether `path` has the name of a configuration.
pub(super) fn is_config(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    CONFIGS.contains(&&*name) || name == JSON || is_project(path)
}

/// Whether `path` has the name of a configuration of taming-transformers.
fn is_project(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    !is_hidden(path) && name.ends_with(CONFIG_ENDING)
}

/// Whether the JSON document at `path` describes a model of ours.
fn is_ours(path: &Path) -> bool {
    let text = files::read_text(path, LONGEST_CONFIG).ok();
    let document: Option<serde_json::Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    document.is_some_and(|document| document.get(ARCH).is_some())
}

/// Picks the weights that the folder stands for.
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

/// The extensions of weights, for messages.
pub fn endings() -> String {
    WEIGHTS.map(|ending| format!(".{ending}")).join(", ")
}

fn carries_config(weights: &Path) -> bool {
    let is_safetensors = weights.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"));
    is_safetensors && ByteSource::open(weights).is_ok_and(|source| st::has_config(&source))
}

/// The weights in `folder`. An index stands for the files that it lists.
pub fn weights_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = files::list(folder)?.into_iter();
    let mut found: Vec<PathBuf> = found.filter(|path| is_weights(path) && files::is_file(path)).collect();
    if found.iter().any(|path| shards::is_index(path)) {
        found.retain(|path| !shards::is_shard(path));
    }
    Ok(found)
}

/// The weights in `folder`, or else in its folder of checkpoints.
pub fn weights_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let own = weights_in(folder)?;
    Ok(if own.is_empty() { weights_in(&folder.join(CHECKPOINTS)).unwrap_or_default() } else { own })
}

pub(super) fn is_weights(path: &Path) -> bool {
    let is_known = |ending: &OsStr| WEIGHTS.iter().any(|known| ending.eq_ignore_ascii_case(known));
    // PyTorch's weights are no archive, but often called one: model.pth.tar.
    let named = if path.extension() == Some(OsStr::new("tar")) { path.file_stem() } else { path.file_name() };
    let ending = Path::new(named.unwrap_or_default()).extension();
    !is_hidden(path) && (ending.is_some_and(is_known) || shards::is_index(path))
}

/// Whether the name begins with a dot, as do the resource forks that macOS puts beside files: `._model.pt`.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

pub(super) fn listed(paths: &[PathBuf], below: &Path) -> String {
    let names = paths.iter().map(|path| path.strip_prefix(below).unwrap_or(path).display().to_string());
    some_of(&names.collect::<Vec<_>>())
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
    fn a_folder_has_the_model_that_its_configuration_describes() {
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
            (&["config.yaml", "best.pth.tar", "code.tar", "code.tar.gz"], "config.yaml", "best.pth.tar"),
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
    fn a_configuration_may_be_in_json() {
        let folder = folder_of(&["model.pt", "config.json"]);
        let path = folder.path().join("config.json");
        for (text, is_one) in [("", false), (r#"{"model_type": "bert"}"#, false), (r#"{"arch": {}}"#, true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(config_in(folder.path()).unwrap(), is_one.then(|| path.clone()), "{text}");
        }
        std::fs::write(folder.path().join("config.yaml"), "").unwrap();
        assert_eq!(config_in(folder.path()).unwrap(), Some(folder.path().join("config.yaml")));
    }

    #[test]
    fn a_lightning_run_keeps_its_weights_in_another_folder() {
        for config in ["config.yaml", "hparams.yaml"] {
            let folder = folder_of(&[config, "metrics.csv", "checkpoints/epoch=1-step=2.ckpt"]);
            let weights = folder.path().join("checkpoints/epoch=1-step=2.ckpt");
            for (inside, shown) in [("", "run"), ("checkpoints", "run/checkpoints")] {
                let found = models(&folder.path().join(inside), Path::new(shown)).unwrap();
                let [ModelFiles { config: Some(found_config), weights: found_weights, shown }] = &found[..]
                else {
                    panic!("{found:?}")
                };
                assert!(found_config.ends_with(config) && files::is_file(found_config));
                assert_eq!(
                    (found_weights, shown.as_path()),
                    (&weights, Path::new("run/checkpoints/epoch=1-step=2.ckpt"))
                );
            }
        }
    }

    #[test]
    fn an_index_stands_for_its_shards() {
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let folder =
            folder_of(&["config.yaml", shards[0], shards[1], "model.safetensors.index.json", "a.json"]);
        let found = models(folder.path(), Path::new("")).unwrap();
        assert_eq!(found[0].weights, folder.path().join("model.safetensors.index.json"));
        let without = folder_of(&["config.yaml", shards[0], shards[1]]);
        assert!(models(without.path(), Path::new("")).is_err());
    }

    #[test]
    fn ambiguous_folders_are_errors() {
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
    fn a_taming_run_keeps_its_configuration_in_another_folder() {
        let folder = folder_of(&["checkpoints/last.ckpt", "configs/2021-01-01T00-00-00-project.yaml"]);
        let config = config_of(&folder.path().join("checkpoints/last.ckpt")).unwrap().unwrap();
        assert!(config.ends_with("2021-01-01T00-00-00-project.yaml"));
        let found = models(&folder.path().join("checkpoints"), Path::new("run/checkpoints")).unwrap();
        assert_eq!((found.len(), &found[0].config), (1, &Some(config)));
    }
}
