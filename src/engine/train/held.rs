//! The folder of a run that one process alone writes: begun anew, or gone on with as it was begun.

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

/// Variations of each picture in a cache, unless told otherwise.
const VARIATIONS: u32 = 8;

/// A run's folder, locked. Where no step is taken of a run that was begun, nothing of it stays.
pub struct Held {
    /// The folder.
    pub folder: RunFolder,
    lock: Option<Lock>,
    /// Of a new run: whether its folder was made for it.
    new: Option<bool>,
}

impl Held {
    /// A new run's folder.
    ///
    /// # Errors
    /// It holds a run, or cannot be written.
    pub fn create(root: &Path) -> Result<Self> {
        let is_new_root = !root.exists();
        std::fs::create_dir_all(root).map_err(Error::io("create", root))?;
        let lock = Lock::take(root)?;
        let folder = RunFolder::create(root)?;
        Ok(Self { folder, lock: Some(lock), new: Some(is_new_root) })
    }

    /// The folder of a run that goes on.
    ///
    /// # Errors
    /// There is none, or another process writes it.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = RunFolder::open(root)?;
        Ok(Self { folder, lock: Some(Lock::take(root)?), new: None })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(is_new_root) = self.new.filter(|_| self.folder.is_untouched()) else { return };
        // No system removes a file that is locked.
        self.lock = None;
        self.folder.remove_start();
        if is_new_root {
            // It stays if somebody has put something there.
            let _ = std::fs::remove_dir(self.folder.root());
        }
    }
}

/// What is asked for, and where nothing is, what a run that goes on has kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// Determines first weights, order and variations.
    pub seed: u32,
    /// Whether the pictures that are held out are learned from, too.
    pub all: bool,
    /// Whether pictures may lack the class or caption that the model is given.
    pub unlabelled: bool,
    /// After how many epochs the variations repeat; `None`: never.
    pub variations: Option<u32>,
    /// Steps in all; `None`: the configuration's epochs.
    pub steps: Option<u64>,
}

impl Settled {
    /// Of `options`, for a run that has kept `record`, if it goes on.
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

/// Refuses data that a run was not begun with.
///
/// # Errors
/// The `pictures` of this `fingerprint` are not those of `record`.
pub fn check_data(options: &TrainOptions, record: &Record, pictures: usize, fingerprint: &str) -> Result<()> {
    if record.data == fingerprint {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: expected the {} pictures that {} has learned from so far, with the same names, sizes, classes and captions, found \
         {pictures} that are not the same: give those, or {}",
        options.data.display(),
        record.pictures,
        options.out.display(),
        anew(options)
    )))
}

/// Refuses an RQ-VAE whose codes a run has not learned.
///
/// # Errors
/// It is not that of `record`, or cannot be read.
pub fn check_stage1(options: &TrainOptions, record: &Record) -> Result<()> {
    let Some(place) = &options.rqvae else { return Ok(()) };
    let found = ModelId::of(&Stage1::open(&stage1_options(place))?)?;
    match record.stage1.as_ref().is_none_or(|kept| *kept == found.sha256) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{place}: expected the RQ-VAE whose codes {} has learned so far, found another: leave --rqvae out to go on with \
             that one, which the run has kept, or {}",
            options.out.display(),
            anew(options)
        ))),
    }
}

/// Refuses a configuration that says otherwise than `kept`, that of the run.
///
/// # Errors
/// A key has another value; the file is missing or no configuration.
pub fn check_config(options: &TrainOptions, kept: &Value) -> Result<()> {
    // What there is to say of its keys is said of the run's own.
    let given = with_default(NoSubscriber::default(), || read(&options.config))?;
    match difference(&given.document, kept, "") {
        None => Ok(()),
        Some((key, [given, kept])) => Err(Error::usage(format!(
            "{}: expected {key} {kept}, as in the run's own configuration, found {given}: give {}, changed if it must be, or {}",
            options.config.display(),
            options.out.join("config.yaml").display(),
            anew(options)
        ))),
    }
}

/// What is said of an RQ-VAE to learn the codes of.
pub fn stage1_options(place: &str) -> Options {
    Options { model: place.into(), rqvae: None, state: StateKind::Auto, precision: Precision::Stored }
}

/// The first key of `given` that has another value in `kept`, and both values. Where other files lie is the run's affair.
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
        "{name}: expected {kept}, with which {} was begun, found {given}: leave it out, or {}",
        options.out.display(),
        anew(options)
    ))
}

/// What else can be done than to go on with a run.
fn anew(options: &TrainOptions) -> String {
    format!("begin a new run with --from {}", options.out.display())
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
    fn a_run_that_takes_no_step_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("run");
        let held = Held::create(&root).unwrap();
        assert!(Held::create(&root).is_err() && root.join("checkpoints").is_dir());
        drop(held);
        assert!(!root.exists());
        // What others have put there stays.
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("notes.txt"), "").unwrap();
        drop(Held::create(&root).unwrap());
        let left: Vec<_> =
            std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
    }
}
