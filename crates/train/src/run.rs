//! A run: a folder with its configuration, metrics, sheets, and checkpoints from which it resumes exactly.
//!
//! ```text
//! config.yaml                    the configuration
//! run.json                       everything else that determines the run
//! stage1/model.safetensors       the RQ-VAE whose codes the transformer learns
//! metrics.jsonl                  one line per step
//! sheets/00000100.png            the model's output for held-out pictures
//! checkpoints/00000100/          model.safetensors, for every command, and training.safetensors, to resume;
//!                                of step 0 only if the run started from another model
//! ```

mod checkpoints;
mod metrics;
mod tensors;

pub use checkpoints::{open_training, steps_of};
pub use metrics::line;
pub use tensors::{Tensors, hash, moments, tensors};

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::record::Record;
use residua_core::error::{Error, Result};
use residua_core::files;

/// Maximum size of a run record, in bytes.
const LONGEST_RECORD: u64 = 1 << 20;

/// A run's configuration, in its folder.
const CONFIG: &str = "config.yaml";

/// Everything else that determines the run, in its folder.
const RECORD: &str = "run.json";

/// One line per step, in the run's folder.
const METRICS: &str = "metrics.jsonl";

/// Path, relative to the run's folder, of the RQ-VAE whose codes the transformer learns.
pub const STAGE1: &str = "stage1/model.safetensors";

/// The folders of a run, in its folder.
const FOLDERS: [&str; 3] = ["checkpoints", "sheets", "stage1"];

/// The files of a run besides sheets and checkpoints. A start that clears an earlier one removes the
/// configuration first, as a run without it cannot be resumed, and the record, which marks the others as a
/// run's, last.
const FILES: [&str; 4] = [CONFIG, METRICS, STAGE1, RECORD];

/// Path of the run's folder, relative to a checkpoint's folder.
pub const UP: &str = "../../";

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
    /// False for a rank that leaves writing to another: it changes no file.
    writes: bool,
}

impl RunFolder {
    /// The folder at `root`, for a new run. What a run that was killed before its first checkpoint left there
    /// is removed.
    ///
    /// # Errors
    /// The folder is in use (see [`Self::check_free`]), or cannot be written.
    pub fn free(root: &Path) -> Result<Self> {
        Self::check_free(root)?;
        let folder = Self { root: root.into(), writes: true };
        folder.forget_start()?;
        let left = FILES.map(|name| root.join(name));
        for path in folder.sheets()?.iter().chain(&left).filter(|path| is_taken(path)) {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
        }
        Ok(folder)
    }

    /// Refuses a folder that already has checkpoints, or files that are no run's but have the names of a
    /// run's. A run that was killed before its first checkpoint has nothing to resume from, so it may be
    /// started again.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_free(root: &Path) -> Result<()> {
        let folder = Self { root: root.into(), writes: false };
        if folder.taken()? > 0 {
            return Err(Error::usage(format!(
                "{} already holds a run: resume it, or choose another folder",
                root.display()
            )));
        }
        if folder.record().is_ok_and(|record| record.is_some()) {
            return Ok(());
        }
        let files = FILES.map(|name| root.join(name)).into_iter().chain([folder.checkpoint(0)]);
        match files.chain(folder.sheets()?).find(|path| is_taken(path)) {
            None => Ok(()),
            Some(path) => Err(Error::usage(format!(
                "{} holds a {} but no run: choose another folder",
                root.display(),
                path.strip_prefix(root).unwrap_or(&path).display()
            ))),
        }
    }

    /// Starts the run: creates its folders, and writes its record, which tells the run's files from a user's.
    /// The run can be resumed once [`Self::begin`] has written its configuration.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(&self, record: &Record) -> Result<()> {
        for part in ["checkpoints", "sheets"] {
            let path = self.root.join(part);
            files::create_folder(&path)?;
        }
        self.keep(record)
    }

    /// Writes `document` as the configuration: everything before the first step is done.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(&self, document: &Value) -> Result<()> {
        // JSON is YAML.
        if self.writes { write_json(&self.config(), document) } else { Ok(()) }
    }

    /// What a run has in its folder besides sheets and checkpoints; folders come before their contents.
    pub fn parts(&self) -> Vec<PathBuf> {
        FOLDERS.iter().chain(&FILES).map(|name| self.root.join(name)).collect()
    }

    /// True if no steps were taken, as far as can be told.
    pub fn is_untouched(&self) -> bool {
        self.taken().is_ok_and(|steps| steps == 0) && self.measured().is_ok_and(|lines| lines.is_empty())
    }

    /// Opens the run in `root`.
    ///
    /// # Errors
    /// `root` has no config.yaml.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = Self { root: root.into(), writes: true };
        if folder.config().is_file() {
            Ok(folder)
        } else {
            Err(Error::usage(format!("{}: expected a run folder, found no config.yaml", root.display())))
        }
    }

    /// Whether `root` is a run's folder, whose sheets are not data.
    pub fn is_run(root: &Path) -> bool {
        let folder = Self { root: root.into(), writes: false };
        folder.config().is_file() && root.join("checkpoints").is_dir()
    }

    /// The folder at `root`, which another rank writes.
    pub fn of_another(root: &Path) -> Self {
        Self { root: root.into(), writes: false }
    }

    /// True unless another rank writes the run.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The run's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of the configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// Path of the RQ-VAE whose codes the transformer learns.
    pub fn stage1(&self) -> PathBuf {
        self.root.join(STAGE1)
    }

    /// What determines the run besides its configuration; `None` if the run was started by a version that
    /// wrote no record.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn record(&self) -> Result<Option<Record>> {
        let path = self.record_path();
        if !path.is_file() {
            return Ok(None);
        }
        let text = files::read_text(&path, LONGEST_RECORD)?;
        let wrong = |error| {
            Error::invalid(format!(
                "{}: expected the record of a run, found a damaged one ({error}): restore it from a copy, or \
                 start a new run from the weights of {}",
                path.display(),
                self.root.display()
            ))
        };
        serde_json::from_str(&text).map(Some).map_err(wrong)
    }

    /// Writes what determines the run besides its configuration.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn keep(&self, record: &Record) -> Result<()> {
        if self.writes { write_json(&self.record_path(), record) } else { Ok(()) }
    }

    fn record_path(&self) -> PathBuf {
        self.root.join(RECORD)
    }

    /// Path of the sheet for `step`.
    pub fn sheet(&self, step: u64) -> PathBuf {
        self.root.join("sheets").join(format!("{step:08}.png"))
    }

    /// All sheets, by step.
    fn sheets(&self) -> Result<Vec<PathBuf>> {
        let folder = self.root.join("sheets");
        let is_sheet = |path: &PathBuf| {
            let step = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            step.is_some() && path.extension().is_some_and(|ending| ending == "png")
        };
        if folder.is_dir() {
            Ok(files::list(&folder)?.into_iter().filter(is_sheet).collect())
        } else {
            Ok(Vec::new())
        }
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(Error::invalid)?;
    files::save(path, text.as_bytes())
}

/// Whether something is at `path`, even a broken link.
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
