//! The log, for the log panel and the status bar.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Number of lines kept.
const MOST_LINES: usize = 500;

/// Severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was done.
    Note,
    /// Something is wrong, but work continues.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// Its name in the interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "Note",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Severity.
    pub level: Level,
    /// Message.
    pub text: String,
}

/// The lines, and how long each kind of job last took.
pub struct Log {
    lines: VecDeque<Line>,
    /// The latest warning or error, until it is dismissed.
    pub notice: Option<Line>,
    /// Duration of the last job of each kind, in milliseconds.
    pub times: BTreeMap<&'static str, f64>,
    warnings: Receiver<String>,
    sender: Sender<String>,
}

impl Default for Log {
    fn default() -> Self {
        let (sender, warnings) = channel();
        Self { lines: VecDeque::new(), notice: None, times: BTreeMap::new(), warnings, sender }
    }
}

impl Log {
    /// Adds a line; warnings and errors also show in the status bar.
    pub fn add(&mut self, level: Level, text: impl Into<String>) {
        let line = Line { level, text: text.into() };
        if level > Level::Note {
            self.notice = Some(line.clone());
        }
        self.lines.push_back(line);
        if self.lines.len() > MOST_LINES {
            self.lines.pop_front();
        }
    }

    /// All lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.lines.iter()
    }

    /// All lines as text, each after its severity.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{}: {}\n", line.level.name(), line.text)).collect()
    }

    /// Deletes all lines.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.notice = None;
    }

    /// A sender for warnings from other threads.
    pub fn sender(&self) -> Sender<String> {
        self.sender.clone()
    }

    /// Adds the warnings that other threads have sent.
    pub fn collect(&mut self) {
        while let Ok(text) = self.warnings.try_recv() {
            self.add(Level::Warning, text);
        }
    }
}
