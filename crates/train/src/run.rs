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

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::optimizer::Descent;
use super::parameters::Parameters;
use super::record::Record;
use super::trainee::Name;
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files::{self, write_atomically};
use residua_weights::write::{Described, write_safetensors};
use residua_weights::{Dtype, WeightFile};

/// How many checkpoints to keep: the latest ones.
const KEPT: usize = 2;

/// Maximum size of a run record, in bytes.
const LONGEST_RECORD: u64 = 1 << 20;

/// A run's configuration, in its folder.
const CONFIG: &str = "config.yaml";

/// Everything else that determines the run, in its folder.
const RECORD: &str = "run.json";

/// Extension of a checkpoint's folder until it is complete.
const PART: &str = "part";

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

/// The metadata key for the step count in a training file.
const STEPS: &str = "steps";

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
    /// False for a rank that leaves writing to another: it changes no file.
    writes: bool,
}

/// Tensors to write to one file: name, shape and values.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

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

    /// Starts the run: creates its folders, and writes its record, which tells the files that follow from a
    /// user's. The run can be resumed once [`Self::begin`] has written its configuration.
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

    /// Removes the checkpoint before the first step, which holds what a run took over from another.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget_start(&self) -> Result<()> {
        remove(&self.checkpoint(0))
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
        match folder.config().is_file() {
            true => Ok(folder),
            false => {
                Err(Error::usage(format!("{}: expected a run folder, found no config.yaml", root.display())))
            }
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
        match folder.is_dir() {
            true => Ok(files::list(&folder)?.into_iter().filter(is_sheet).collect()),
            false => Ok(Vec::new()),
        }
    }

    fn metrics(&self) -> PathBuf {
        self.root.join(METRICS)
    }

    fn checkpoint(&self, step: u64) -> PathBuf {
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

    /// Appends a line to the metrics.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn measure(&self, line: &Value) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let path = self.metrics();
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        file.write_all(format!("{line}\n").as_bytes()).map_err(Error::io("write", &path))
    }

    /// The metrics, line by line.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn measured(&self) -> Result<Vec<Value>> {
        let path = self.metrics();
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        // A kill may have cut the last line short.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Drops metrics after step `steps`, from which the run resumes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget_after(&self, steps: u64) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let kept = self
            .measured()?
            .into_iter()
            .filter(|line| line["step"].as_u64().is_some_and(|step| step <= steps));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        let path = self.metrics();
        write_atomically(&path, |file| file.write_all(text.as_bytes()).map_err(Error::io("write", &path)))
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

/// SHA-256 of the names and values of `tensors`.
pub fn hash(tensors: &Tensors) -> Vec<u8> {
    let mut hash = Sha256::new();
    for (name, _, values) in tensors {
        hash.update(name);
        hash.update(bytemuck::cast_slice::<f32, u8>(values));
    }
    hash.finalize().to_vec()
}

/// All of `parameters`, with `prefix` before each name.
pub fn tensors(parameters: &Parameters, prefix: &str) -> Tensors {
    let mut values = parameters.read_back();
    let described = |(name, shape): (&String, &Vec<usize>)| {
        (format!("{prefix}{name}"), shape.clone(), values.remove(name).unwrap_or_default())
    };
    parameters.shapes().iter().map(described).collect()
}

/// The moments in `descent`, with `prefix` before each name.
pub fn moments(descent: &Descent, prefix: &str) -> Tensors {
    let mut all = tensors(&descent.means, &format!("{prefix}means."));
    all.extend(tensors(&descent.squares, &format!("{prefix}squares.")));
    all
}

fn write(path: &Path, tensors: &Tensors, metadata: &[(&str, &str)]) -> Result<()> {
    let described: Vec<Described> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), Dtype::F32, shape.clone())).collect();
    let values: BTreeMap<&str, &Vec<f32>> =
        tensors.iter().map(|(name, _, values)| (name.as_str(), values)).collect();
    let metadata = metadata.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    write_safetensors(path, &described, &metadata, |name| Ok(bytemuck::cast_slice::<f32, u8>(values[name])))
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(Error::invalid)?;
    files::save(path, text.as_bytes())
}

/// Removes a folder if it is there. A file in its place is for whoever needs the place to report.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Error::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Whether something is at `path`, even a broken link.
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// One line of metrics.
pub fn line(step: u64, rate: f64, measures: &[(Name, f64)]) -> Value {
    let mut line = json!({ "step": step, "lr": rate });
    for (name, value) in measures {
        line[name.as_ref()] = json!(value);
    }
    line
}
