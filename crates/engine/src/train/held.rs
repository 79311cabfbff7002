//! The folder of a run, which only one process writes: a new run, or one resumed with its own settings.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::subscriber::{NoSubscriber, with_default};

use super::document::LEFT_OUT;
use super::{TrainOptions, named, read};
use crate::models::Stage1;
use residua_core::config::{Precision, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::text::counted;
use residua_protocol::Options;
use residua_train::lock::{self, Lock};
use residua_train::record::Record;
use residua_train::run::{RunFolder, is_taken};

/// Default number of variations of each picture in a cache.
const VARIATIONS: u32 = 8;

/// A run's locked folder. If a new run does no step, nothing of it stays.
pub struct Held {
    /// The folder.
    pub folder: RunFolder,
    lock: Option<Lock>,
    /// For a new run: what was not there before, folders before their contents.
    new: Vec<PathBuf>,
}

impl Held {
    /// Creates a new run's folder, with `record` in it.
    ///
    /// # Errors
    /// The folder has a run already, or cannot be written.
    pub fn create(root: &Path, record: &Record) -> Result<Self> {
        let mut new = vec![root.to_path_buf(), lock::place(root)];
        new.retain(|path| !is_taken(path));
        files::create_folder(root)?;
        let lock = Some(Lock::take(root)?);
        let folder = RunFolder::free(root)?;
        new.extend(folder.parts().into_iter().filter(|path| !is_taken(path)));
        let held = Self { folder, lock, new };
        held.folder.create(record)?;
        Ok(held)
    }

    /// Opens the folder of a run to resume; unless this process `writes` it, another rank does.
    ///
    /// # Errors
    /// There is no run, or another process writes it.
    pub fn open(root: &Path, writes: bool) -> Result<Self> {
        let folder = RunFolder::open(root)?;
        if writes {
            Ok(Self { folder, lock: Some(Lock::take(root)?), new: Vec::new() })
        } else {
            Ok(Self::of_another(root))
        }
    }

    /// The folder of a run that another rank writes.
    pub fn of_another(root: &Path) -> Self {
        Self { folder: RunFolder::of_another(root), lock: None, new: Vec::new() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.new.is_empty() || !self.folder.is_untouched() {
            return;
        }
        // Some systems do not remove a locked file.
        self.lock = None;
        let _ = self.folder.forget_start();
        for path in self.new.iter().rev() {
            // Ignore errors: leave files that cannot be removed, and folders that hold something else.
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
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
            if options.resume {
                tracing::warn!(
                    "{} was started by a version that stored neither seed nor options: using those given now",
                    options.out.display()
                );
            }
            return Ok(Self {
                seed: options.seed.unwrap_or(0),
                all: options.all,
                unlabelled: options.unlabelled,
                variations: asked.map(|variations| variations.unwrap_or(VARIATIONS)),
                steps: options.steps,
            });
        };
        same(options, "seed", options.seed, kept.seed)?;
        same(options, "all", options.all.then_some(true), kept.all)?;
        match (asked, kept.variations) {
            (Some(_), None) => return Err(contradicts(options, "cache", "given", "none")),
            (Some(asked), Some(kept)) => same(options, "variations", asked, kept)?,
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

/// Refuses pictures and LPIPS weights other than those the run was started with.
///
/// # Errors
/// Those of `record` are not those of `kept`, the run's own record.
pub fn check_record(options: &TrainOptions, kept: &Record, record: &Record) -> Result<()> {
    check_data(options, kept, record)?;
    check_lpips(options, kept, record)
}

fn check_data(options: &TrainOptions, kept: &Record, record: &Record) -> Result<()> {
    if kept.data == record.data {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: expected the {} that {} was trained on so far, with the same names, sizes, classes and captions, found \
         others ({}): use the original ones, or {}",
        options.data.display(),
        counted(kept.pictures, "picture"),
        options.out.display(),
        counted(record.pictures, "picture"),
        anew(options)
    )))
}

/// Refuses an RQ-VAE other than the run's own.
///
/// # Errors
/// It is not the one in `record`, or cannot be read.
pub fn check_stage1(options: &TrainOptions, record: &Record) -> Result<()> {
    let Some(place) = &options.rqvae else { return Ok(()) };
    let found = Stage1::open(&stage1_options(place))?;
    if record.stage1.as_ref().map_or(Ok(true), |kept| found.is(kept))? {
        Ok(())
    } else {
        Err(Error::usage(format!(
            "{place}: expected the RQ-VAE that {} was trained with so far, found another: leave it out to continue with \
             the run's own copy, or {}",
            options.out.display(),
            anew(options)
        )))
    }
}

fn check_lpips(options: &TrainOptions, kept: &Record, record: &Record) -> Result<()> {
    let (wanted, found) = match &kept.lpips {
        own if own.is_none() || *own == record.lpips => return Ok(()),
        Some(own) if own.is_empty() => ("no LPIPS weights, as", "some"),
        _ => ("the LPIPS weights that", "others"),
    };
    Err(Error::usage(format!(
        "lpips: expected {wanted} {} was trained with so far, found {found}: leave it out, or {}",
        options.out.display(),
        anew(options)
    )))
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
            named(&options.config),
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
    let is_path = ["vqvae", "gan.loss.lpips"].contains(&key) || LEFT_OUT.contains(&key);
    if is_path || given == kept {
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
    format!("start a new run from {}", options.out.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_key_that_differs_is_named() {
        let kept = json!({ "arch": { "type": "x", "ema": 0.5 }, "vqvae": { "ckpt": "kept" }, "classes": ["a"], "dataset": {} });
        for (given, expected) in [
            (json!({ "arch": { "type": "x" } }), None),
            (json!({ "arch": { "type": "x", "ema": 0.5 }, "vqvae": { "ckpt": "given" } }), None),
            (json!({ "dataset": { "root": "/home/me" }, "result_path": "/tmp" }), None),
            (json!({ "arch": { "ema": 0.9 } }), Some("arch.ema")),
            (json!({ "optimizer": { "init_lr": 1.0 } }), Some("optimizer")),
            (json!({ "classes": ["b"] }), Some("classes")),
        ] {
            let found = difference(&given, &kept, "").map(|(key, _)| key);
            assert_eq!(found.as_deref(), expected, "{given}");
        }
    }

    fn record() -> Record {
        Record {
            residua: "0".into(),
            seed: 0,
            all: false,
            unlabelled: false,
            variations: None,
            steps: None,
            pictures: 1,
            data: String::new(),
            stage1: None,
            lpips: None,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
        residua_core::files::list(folder).unwrap().iter().map(name).collect()
    }

    #[test]
    fn a_run_that_does_no_step_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("run");
        let held = Held::create(&root, &record()).unwrap();
        assert!(Held::create(&root, &record()).is_err() && root.join("checkpoints").is_dir());
        drop(held);
        assert!(!root.exists());
        // Other files and folders stay.
        std::fs::create_dir_all(root.join("sheets")).unwrap();
        std::fs::write(root.join("notes.txt"), "").unwrap();
        drop(Held::create(&root, &record()).unwrap());
        assert_eq!(names(&root), ["notes.txt", "sheets"]);
    }

    #[test]
    fn what_a_killed_start_left_is_replaced_and_a_users_files_are_not() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("run");
        let left = ["config.yaml", "metrics.jsonl", "stage1/model.safetensors", "sheets/00000002.png"];
        for name in left.iter().chain(&["run.json", "checkpoints/00000000"]) {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "mine").unwrap();
            let error = Held::create(&root, &record()).err().unwrap().to_string();
            assert!(error.contains(&format!("holds a {name} but no run")), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), b"mine");
            std::fs::remove_file(path).unwrap();
        }
        left.iter().for_each(|name| std::fs::write(root.join(name), "of a killed start").unwrap());
        std::fs::write(root.join("run.json"), serde_json::to_vec(&record()).unwrap()).unwrap();
        let held = Held::create(&root, &record()).unwrap();
        assert!(left.iter().all(|name| !root.join(name).exists()));
        drop(held);
        assert!(!root.join("run.json").exists());
    }
}
