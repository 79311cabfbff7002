//! What the engine is doing, as the status bar shows it, and what each answer is for.

use std::collections::BTreeMap;

use web_time::Instant;

use super::document::Source;
use super::gallery::Origin;
use crate::engine::studio::JobId;

/// What becomes of a job's result, where that is not the same for all of its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// The result goes where results of its kind go.
    Usual,
    /// The sampled stack replaces the open one, as an edit that undo calls by this name.
    Replace(&'static str),
    /// Pictures that are sampled go to the gallery.
    Collect(Origin),
    /// Neighbours of a code of the codebook panel.
    Browse,
    /// The codes are to be opened under this name, as those of a part of a picture.
    Open(String, Source),
}

/// A job that is queued or under way.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it does.
    pub label: &'static str,
    /// What for.
    pub purpose: Purpose,
    /// Units done, of units in all.
    pub progress: Option<(usize, usize)>,
    /// When it was begun.
    pub begun: Option<Instant>,
}

impl Job {
    /// Seconds that it will still take, by what it has taken so far.
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
    /// A command was sent.
    pub fn add(&mut self, id: JobId, label: &'static str, purpose: Purpose) {
        self.jobs.insert(id, Job { label, purpose, progress: None, begun: None });
    }

    /// A job by its id.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(&id)
    }

    /// A job is over.
    pub fn remove(&mut self, id: JobId) -> Option<Job> {
        self.jobs.remove(&id)
    }

    /// The latest job that is called `label`.
    pub fn called(&self, label: &str) -> Option<(JobId, &Job)> {
        self.jobs.iter().rev().find(|(_, job)| job.label == label).map(|(id, job)| (*id, job))
    }

    /// The one under way, or the next.
    pub fn current(&self) -> Option<&Job> {
        self.jobs.values().find(|job| job.begun.is_some()).or_else(|| self.jobs.values().next())
    }

    /// The one of this label that is under way, or the next.
    pub fn of(&self, label: &str) -> Option<&Job> {
        self.jobs.values().find(|job| job.label == label)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.jobs.len()
    }
}
