//! Running and queued jobs, for the status bar, and what to do with the result of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use web_time::Instant;

use super::document::Source;
use super::gallery::Origin;
use residua_core::codes::CodeStack;
use residua_protocol::JobId;

/// Where a job's result goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// The usual place for results of its kind.
    Usual,
    /// The sampled cells replace those of the open stack.
    Replace {
        /// What undo calls this edit.
        what: &'static str,
        /// The codes with which the document was opened that must still be open.
        opened: Arc<CodeStack>,
        /// The cells, row-major. All others keep the codes that they have by then.
        cells: Vec<bool>,
    },
    /// The cells under a mask are revised, if the document opened with these codes is still open.
    Revise(Arc<CodeStack>),
    /// Sampled pictures go to the gallery.
    Collect(Origin),
    /// Neighbours go to the codebook panel.
    Browse,
    /// The pictures are compared: their names, the number of differing codes and of all codes if they can be compared.
    Compare([String; 2], Option<(usize, usize)>),
    /// The codes are opened under this name, as an encoded part of a picture.
    Open(String, Source),
}

/// A queued or running job.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it does.
    pub label: &'static str,
    /// The file that it reads or writes; None for work of the models.
    pub file: Option<String>,
    /// Where its result goes.
    pub purpose: Purpose,
    /// Units done and units in total.
    pub progress: Option<(usize, usize)>,
    /// When it started; None while queued.
    pub begun: Option<Instant>,
}

impl Job {
    /// What it does, for the status bar.
    pub fn text(&self) -> String {
        self.file.as_ref().map_or_else(|| self.label.into(), |file| format!("{} {file}", self.label))
    }

    /// Estimated seconds left, from the time taken so far.
    pub fn seconds_left(&self) -> Option<f64> {
        let (done, total) = self.progress.filter(|(done, total)| *done > 0 && done < total)?;
        let spent = self.begun?.elapsed().as_secs_f64();
        Some(spent / done as f64 * (total - done) as f64)
    }
}

/// All jobs, oldest first.
#[derive(Default)]
pub struct Jobs {
    jobs: BTreeMap<JobId, Job>,
}

impl Jobs {
    /// Adds a queued job. `command` is its label and its file.
    pub fn add(&mut self, id: JobId, command: (&'static str, Option<String>), purpose: Purpose) {
        let (label, file) = command;
        self.jobs.insert(id, Job { label, file, purpose, progress: None, begun: None });
    }

    /// A job by its id.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(&id)
    }

    /// Removes a finished job.
    pub fn remove(&mut self, id: JobId) -> Option<Job> {
        self.jobs.remove(&id)
    }

    /// The latest job with this label.
    pub fn called(&self, label: &str) -> Option<(JobId, &Job)> {
        self.jobs.iter().rev().find(|(_, job)| job.label == label).map(|(id, job)| (*id, job))
    }

    /// The running job, or else the next one.
    pub fn current(&self) -> Option<&Job> {
        self.jobs.values().find(|job| job.begun.is_some()).or_else(|| self.jobs.values().next())
    }

    /// The oldest job with this label.
    pub fn of(&self, label: &str) -> Option<&Job> {
        self.jobs.values().find(|job| job.label == label)
    }

    /// Whether the result of a job will change the open codes.
    pub fn are_replacing(&self) -> bool {
        self.jobs.values().any(|job| matches!(job.purpose, Purpose::Replace { .. }))
    }

    /// Whether no job needs the models.
    pub fn leave_models_idle(&self) -> bool {
        self.jobs.values().all(|job| job.file.is_some())
    }

    /// Number of jobs.
    pub fn count(&self) -> usize {
        self.jobs.len()
    }
}
