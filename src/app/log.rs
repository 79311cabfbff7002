//! What happened, for the log panel and the status bar.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::error::Result;

/// Lines that are kept.
const MOST_LINES: usize = 500;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was done.
    Note,
    /// Something is not as it should be, but work goes on.
    Warning,
    /// Something could not be done.
    Error,
}

impl Level {
    /// What people call it.
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
    /// How grave.
    pub level: Level,
    /// What.
    pub text: String,
}

/// The lines, and how long each kind of work took last.
pub struct Log {
    lines: VecDeque<Line>,
    /// The latest line that nobody has dismissed, if it is grave.
    pub notice: Option<Line>,
    /// Milliseconds of the last job of each kind.
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
    /// Adds a line; a warning or an error also shows in the status bar.
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

    /// Says that a file was saved, or why not.
    pub fn saved(&mut self, path: &Path, result: Result<()>) {
        match result {
            Ok(()) => self.add(Level::Note, format!("wrote {}", path.display())),
            Err(error) => self.add(Level::Error, error.to_string()),
        }
    }

    /// All lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.lines.iter()
    }

    /// All lines as text, each with how grave it is.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{}: {}\n", line.level.name(), line.text)).collect()
    }

    /// Forgets all lines.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.notice = None;
    }

    /// Where other threads put warnings.
    pub fn sender(&self) -> Sender<String> {
        self.sender.clone()
    }

    /// Takes in the warnings of other threads.
    pub fn collect(&mut self) {
        while let Ok(text) = self.warnings.try_recv() {
            self.add(Level::Warning, text);
        }
    }
}
