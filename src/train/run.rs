//! A run: a folder with its configuration, what was measured, sheets, and checkpoints from which it goes on exactly.
//!
//! ```text
//! config.yaml                    what is trained
//! run.json                       what else determines it
//! stage1/model.safetensors       the RQ-VAE whose codes a transformer learns
//! metrics.jsonl                  one line a step
//! sheets/00000100.png            what the model makes of held-out pictures
//! checkpoints/00000100/          model.safetensors, which every command opens, and training.safetensors, which a run needs
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::lock;
use super::optimizer::Descent;
use super::parameters::Parameters;
use super::record::Record;
use super::trainee::Name;
use crate::checkpoint::write::{Described, write_safetensors};
use crate::checkpoint::{Dtype, StateKind, WeightFile};
use crate::error::{Error, Result};
use crate::files::{self, write_atomically};

/// Checkpoints that are kept, the latest ones.
const KEPT: usize = 2;

/// The longest record that is read, in bytes.
const LONGEST_RECORD: u64 = 1 << 20;

/// Where the RQ-VAE lies whose codes a transformer learns, seen from the run's folder.
pub const STAGE1: &str = "stage1/model.safetensors";

/// The run's folder, seen from that of a checkpoint.
pub const UP: &str = "../../";

/// The key of the training file under which the steps taken are kept.
const STEPS: &str = "steps";

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

/// Named tensors that are written to one file: name, shape and values.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

impl RunFolder {
    /// Makes the folders of a new run in `root`; [`Self::begin`] makes it one.
    ///
    /// # Errors
    /// There is a run already, see [`Self::check_free`]; the folder cannot be written.
    pub fn create(root: &Path) -> Result<Self> {
        Self::check_free(root)?;
        let folder = Self { root: root.into() };
        for part in ["checkpoints", "sheets"] {
            let path = root.join(part);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        Ok(folder)
    }

    /// Refuses a folder that a run has checkpoints in, or a configuration that is of no run. One that was begun and killed
    /// before its first checkpoint has nothing to go on from: it may be begun anew.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_free(root: &Path) -> Result<()> {
        let folder = Self { root: root.into() };
        let wrong = match (folder.taken()? > 0, folder.record_path().is_file(), folder.config().exists()) {
            (true, ..) => "holds a run already: go on with it by --resume, or choose another folder",
            (false, false, true) => "holds a config.yaml that is of no run: choose another folder",
            _ => return Ok(()),
        };
        Err(Error::usage(format!("{} {wrong}", root.display())))
    }

    /// Makes this a run: keeps its record, and its configuration `document`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(&self, record: &Record, document: &Value) -> Result<()> {
        self.keep(record)?;
        // JSON is YAML.
        write_json(&self.config(), document)
    }

    /// Removes what was made of a run that has taken no step.
    pub fn remove_start(&self) {
        let files =
            [self.config(), self.record_path(), self.metrics(), self.stage1(), lock::place(&self.root)];
        let folders = ["checkpoints", "sheets", "stage1"].map(|part| self.root.join(part));
        // What cannot be removed, or holds something else, stays.
        files.iter().for_each(|path| drop(fs::remove_file(path)));
        folders.iter().for_each(|path| drop(fs::remove_dir(path)));
    }

    /// Whether no step was taken, as far as can be seen.
    pub fn is_untouched(&self) -> bool {
        self.taken().is_ok_and(|steps| steps == 0) && self.measured().is_ok_and(|lines| lines.is_empty())
    }

    /// The run in `root`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = Self { root: root.into() };
        match folder.config().is_file() {
            true => Ok(folder),
            false => Err(Error::usage(format!(
                "{}: expected the folder of a run, found no config.yaml",
                root.display()
            ))),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.yaml")
    }

    /// Where the RQ-VAE lies whose codes a transformer learns.
    pub fn stage1(&self) -> PathBuf {
        self.root.join(STAGE1)
    }

    /// What determines the run besides its configuration; `None`: a version that kept none has begun it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn record(&self) -> Result<Option<Record>> {
        let path = self.record_path();
        if !path.is_file() {
            return Ok(None);
        }
        let text = files::read_text(&path, LONGEST_RECORD)?;
        let wrong =
            |error| Error::invalid(format!("{}: expected the record of a run: {error}", path.display()));
        serde_json::from_str(&text).map(Some).map_err(wrong)
    }

    /// Keeps what determines the run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, record: &Record) -> Result<()> {
        write_json(&self.record_path(), record)
    }

    fn record_path(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// The sheet of a step.
    pub fn sheet(&self, step: u64) -> PathBuf {
        self.root.join("sheets").join(format!("{step:08}.png"))
    }

    fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    fn checkpoint(&self, step: u64) -> PathBuf {
        self.root.join("checkpoints").join(format!("{step:08}"))
    }

    /// Steps after which there are whole checkpoints, in order.
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

    /// Steps that the latest checkpoint has taken.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn taken(&self) -> Result<u64> {
        Ok(self.checkpoints()?.last().copied().unwrap_or(0))
    }

    /// The latest checkpoint.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        Ok(self.checkpoints()?.last().map(|&step| self.checkpoint(step)))
    }

    /// Writes the checkpoint of `step`: it appears whole or not at all. Older ones go.
    ///
    /// # Errors
    /// The disk is full, or refuses; earlier checkpoints stay.
    pub fn save(&self, step: u64, document: &Value, model: &Tensors, training: &Tensors) -> Result<PathBuf> {
        let target = self.checkpoint(step);
        // A name that is no number: what a kill leaves of it is not taken for a checkpoint, and goes at the next one.
        let part = target.with_extension("part");
        let prepared = remove(&part)
            .and_then(|()| fs::create_dir_all(&part).map_err(Error::io("create", &part)))
            .and_then(|()| {
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

    /// Adds a line to what was measured.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn measure(&self, line: &Value) -> Result<()> {
        let path = self.metrics();
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        file.write_all(format!("{line}\n").as_bytes()).map_err(Error::io("write", &path))
    }

    /// What was measured, line by line.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn measured(&self) -> Result<Vec<Value>> {
        let path = self.metrics();
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        // A kill may have cut the last line short.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Forgets what was measured after `steps` steps: the run goes on from there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn forget_after(&self, steps: u64) -> Result<()> {
        let kept = self
            .measured()?
            .into_iter()
            .filter(|line| line["step"].as_u64().is_some_and(|step| step <= steps));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        let path = self.metrics();
        write_atomically(&path, |file| file.write_all(text.as_bytes()).map_err(Error::io("write", &path)))
    }
}

/// What of a training file names the steps taken.
///
/// # Errors
/// The file has none.
pub fn steps_of(training: &WeightFile) -> Result<u64> {
    let steps = training.metadata().get(STEPS).and_then(|steps| steps.parse().ok());
    steps.ok_or_else(|| Error::invalid(format!("{}: expected the steps taken, found none", training.name())))
}

/// The training file of a checkpoint.
///
/// # Errors
/// There is none.
pub fn open_training(checkpoint: &Path) -> Result<WeightFile> {
    WeightFile::open(&checkpoint.join("training.safetensors"), StateKind::Auto)
}

/// All of `parameters`, with `prefix` before their names.
pub fn tensors(parameters: &Parameters, prefix: &str) -> Tensors {
    let mut values = parameters.read_back();
    let described = |(name, shape): (&String, &Vec<usize>)| {
        (format!("{prefix}{name}"), shape.clone(), values.remove(name).unwrap_or_default())
    };
    parameters.shapes().iter().map(described).collect()
}

/// What `descent` knows of gradients, named after `prefix`.
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

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// The line of a step.
pub fn line(step: u64, rate: f64, measures: &[(Name, f64)]) -> Value {
    let mut line = json!({ "step": step, "lr": rate });
    for (name, value) in measures {
        line[name.as_ref()] = json!(value);
    }
    line
}
