//! The metrics of a run: one line of JSON per step.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{METRICS, RunFolder};
use crate::trainee::Name;
use residua_core::error::{Error, Result};
use residua_core::files::write_atomically;

impl RunFolder {
    fn metrics(&self) -> PathBuf {
        self.root.join(METRICS)
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

/// One line of metrics.
pub fn line(step: u64, rate: f64, measures: &[(Name, f64)]) -> Value {
    let mut line = json!({ "step": step, "lr": rate });
    for (name, value) in measures {
        line[name.as_ref()] = json!(value);
    }
    line
}
