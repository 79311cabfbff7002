//! The folder of a run, which only one process writes: a new run, or one resumed with its own settings.

use std::fmt::Display;
use std::path::Path;

use serde_json::Value;
use tracing::subscriber::{NoSubscriber, with_default};

use super::{TrainOptions, read};
use crate::engine::models::Stage1;
use crate::engine::{ModelId, Options};
use crate::error::{Error, Result};
use crate::model::Precision;
use crate::model::StateKind;
use crate::train::lock::Lock;
use crate::train::record::Record;
use crate::train::run::RunFolder;

/// Default number of variations of each picture in a cache.
const VARIATIONS: u32 = 8;

/// A run's locked folder. If a new run does no step, nothing of it stays.
pub struct Held {
    /// The folder.
    pub folder: RunFolder,
    lock: Option<Lock>,
    /// For a new run: whether its folder was created for it.
    new: Option<bool>,
}

impl Held {
    /// Creates a new run's folder.
    ///
    /// # Errors
    /// The folder has a run already, or cannot be written.
    pub fn create(root: &Path) -> Result<Self> {
        let is_new_root = !root.exists();
        std::fs::create_dir_all(root).map_err(Error::io("create", root))?;
        let lock = Lock::take(root)?;
        let folder = RunFolder::create(root)?;
        Ok(Self { folder, lock: Some(lock), new: Some(is_new_root) })
    }

    /// Opens the folder of a run to resume.
    ///
    /// # Errors
    /// There is no run, or another process writes it.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = RunFolder::open(root)?;
        Ok(Self { folder, lock: Some(Lock::take(root)?), new: None })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(is_new_root) = self.new.filter(|_| self.folder.is_untouched()) else { return };
        // Some systems do not remove a locked file.
        self.lock = None;
        self.folder.remove_start();
        if is_new_root {
            // The folder stays if it contains other files.
            let _ = std::fs::remove_dir(self.folder.root());
        }
    }
}

/// The requested settings, or else the resumed run's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// Random seed of initial weights, picture order and augmentation.
    pub seed: u32,
    /// Whether to train on the held-out pictures, too.
    pub all: bool,
    /// Whether pictures may lack the class or caption that the model takes.
    pub unlabelled: bool,
    /// Number of epochs after which the variations repeat; `None`: never.
    pub variations: Option<u32>,
    /// Total number of steps; `None`: the configuration's epochs.
    pub steps: Option<u64>,
}

impl Settled {
    /// The settings of `options`, and of `record` if a run is resumed.
    ///
    /// # Errors
    /// The two contradict each other.
    pub fn of(options: &TrainOptions, record: Option<&Record>) -> Result<Self> {
        let asked = options.cache.as_ref().map(|_| options.variations);
        let Some(kept) = record else {
            return Ok(Self {
                seed: options.seed.unwrap_or(0),
                all: options.all,
                unlabelled: options.unlabelled,
                variations: asked.map(|variations| variations.unwrap_or(VARIATIONS)),
                steps: options.steps,
            });
        };
        same(options, "--seed", options.seed, kept.seed)?;
        same(options, "--all", options.all.then_some(true), kept.all)?;
        match (asked, kept.variations) {
            (Some(_), None) => return Err(contradicts(options, "--cache", "given", "none")),
            (Some(asked), Some(kept)) => same(options, "--variations", asked, kept)?,
            (None, _) => (),
        }
        Ok(Self {
            seed: kept.seed,
            all: kept.all,
            unlabelled: kept.unlabelled || options.unlabelled,
            variations: kept.variations,
            steps: options.steps.or(kept.steps),
        })
    }
}

/// Refuses data other than what the run was started with.
///
/// # Errors
/// The `fingerprint` of these `pictures` is not that of `record`.
pub fn check_data(options: &TrainOptions, record: &Record, pictures: usize, fingerprint: &str) -> Result<()> {
    if record.data == fingerprint {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: expected the {} pictures that {} was trained on so far, with the same names, sizes, classes and captions, found \
         {pictures} that differ: use the original ones, or {}",
        options.data.display(),
        record.pictures,
        options.out.display(),
        anew(options)
    )))
}

/// Refuses an RQ-VAE other than the run's own.
///
/// # Errors
/// It is not the one in `record`, or cannot be read.
pub fn check_stage1(options: &TrainOptions, record: &Record) -> Result<()> {
    let Some(place) = &options.rqvae else { return Ok(()) };
    let found = ModelId::of(&Stage1::open(&stage1_options(place))?)?;
    match record.stage1.as_ref().is_none_or(|kept| *kept == found.sha256) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{place}: expected the RQ-VAE that {} was trained with so far, found another: leave --rqvae out to continue with \
             the run's own copy, or {}",
            options.out.display(),
            anew(options)
        ))),
    }
}

/// Refuses a configuration that contradicts `kept`, the run's own.
///
/// # Errors
/// A key has another value, or the file is missing or not a configuration.
pub fn check_config(options: &TrainOptions, kept: &Value) -> Result<()> {
    // Warnings about keys are given for the run's own configuration.
    let given = with_default(NoSubscriber::default(), || read(&options.config))?;
    match difference(&given.document, kept, "") {
        None => Ok(()),
        Some((key, [given, kept])) => Err(Error::usage(format!(
            "{}: expected {key} {kept}, as in the run's own configuration, found {given}: use {}, edited if necessary, or {}",
            options.config.display(),
            options.out.join("config.yaml").display(),
            anew(options)
        ))),
    }
}

/// Options to load the RQ-VAE whose codes a transformer learns.
pub fn stage1_options(place: &str) -> Options {
    Options { model: place.into(), rqvae: None, state: StateKind::Auto, precision: Precision::Stored }
}

/// The first key of `given` that has another value in `kept`, and both values. The paths of other files do
/// not matter.
fn difference(given: &Value, kept: &Value, key: &str) -> Option<(String, [String; 2])> {
    if ["vqvae", "gan.loss.lpips"].contains(&key) || given == kept {
        return None;
    }
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given.iter().find_map(|(name, value)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            difference(value, kept.get(name).unwrap_or(&Value::Null), &key)
        }),
        _ => Some((key.into(), [given.to_string(), kept.to_string()])),
    }
}

fn same<T: PartialEq + Display>(options: &TrainOptions, name: &str, given: Option<T>, kept: T) -> Result<()> {
    match given {
        Some(given) if given != kept => Err(contradicts(options, name, given, kept)),
        _ => Ok(()),
    }
}

fn contradicts(options: &TrainOptions, name: &str, given: impl Display, kept: impl Display) -> Error {
    Error::usage(format!(
        "{name}: expected {kept}, with which {} was started, found {given}: leave it out, or {}",
        options.out.display(),
        anew(options)
    ))
}

/// The alternative to resuming a run.
fn anew(options: &TrainOptions) -> String {
    format!("start a new run with --from {}", options.out.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_key_that_differs_is_named() {
        let kept =
            json!({ "arch": { "type": "x", "ema": 0.5 }, "vqvae": { "ckpt": "kept" }, "classes": ["a"] });
        for (given, expected) in [
            (json!({ "arch": { "type": "x" } }), None),
            (json!({ "arch": { "type": "x", "ema": 0.5 }, "vqvae": { "ckpt": "given" } }), None),
            (json!({ "arch": { "ema": 0.9 } }), Some("arch.ema")),
            (json!({ "optimizer": { "init_lr": 1.0 } }), Some("optimizer")),
            (json!({ "classes": ["b"] }), Some("classes")),
        ] {
            let found = difference(&given, &kept, "").map(|(key, _)| key);
            assert_eq!(found.as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn a_run_that_does_no_step_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("run");
        let held = Held::create(&root).unwrap();
        assert!(Held::create(&root).is_err() && root.join("checkpoints").is_dir());
        drop(held);
        assert!(!root.exists());
        // Other files stay.
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("notes.txt"), "").unwrap();
        drop(Held::create(&root).unwrap());
        let left: Vec<_> =
            std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
    }
}
