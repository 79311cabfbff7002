//! What the command line shows: results on stdout, progress and notes on stderr; and what stops it.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::progress::Progress;
use super::target::Target;
use crate::app::Warnings;
use crate::engine::Task;
use crate::error::{Error, Result};
use crate::image_io::Picture;
use crate::image_io::png_text::Provenance;

/// Where results and notes go.
pub struct Console {
    json: bool,
    stop: Arc<AtomicBool>,
    /// Whether a file goes to stdout, so that nothing else may.
    stdout_is_taken: Cell<bool>,
}

/// Warnings go to stderr, each once, unless `RUST_LOG` asks for more, and to the studio if it is open.
pub fn start_log() {
    let asked = tracing_subscriber::EnvFilter::try_from_default_env().ok();
    let all = asked.is_some();
    let filter = asked.unwrap_or_else(|| tracing_subscriber::EnvFilter::new("residua=warn,error"));
    let said = Arc::new(Mutex::new(HashSet::new()));
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(move || Once { said: (!all).then(|| said.clone()) })
        // It would say so on stderr, too, and panic where a terminal that was closed has taken that away.
        .log_internal_errors(false)
        .with_filter(filter);
    // What nobody hears is not even formatted.
    let warnings = Warnings.with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines).with(warnings).init();
}

/// Stderr, but for lines that were `said` already.
struct Once {
    said: Option<Arc<Mutex<HashSet<Vec<u8>>>>>,
}

impl Write for Once {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let is_new = self
            .said
            .as_ref()
            .is_none_or(|said| said.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_vec()));
        if is_new {
            std::io::stderr().write_all(line)?
        };
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl Console {
    /// Also makes Ctrl-C end work at its next unit instead of killing it; a second one kills. What ends a session, a job or a
    /// container (SIGTERM) and a terminal that is closed (SIGHUP) end work, too; they may come several times.
    pub fn new(json: bool) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            say("stopping; once more to stop at once");
        })
        .map_err(|e| Error::invalid(format!("cannot catch Ctrl-C: {e}")))?;
        #[cfg(unix)]
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, stop.clone())
                .map_err(|e| Error::invalid(format!("cannot catch signal {signal}: {e}")))?;
        }
        Ok(Self { json, stop, stdout_is_taken: Cell::new(false) })
    }

    /// Keeps stdout for a file: the result goes to stderr.
    ///
    /// # Errors
    /// The result must be on stdout.
    pub fn take_stdout(&self) -> Result<()> {
        if self.json {
            return Err(Error::usage("--json prints on standard output: name a file for what is written"));
        }
        self.stdout_is_taken.set(true);
        Ok(())
    }

    /// A bar with an estimate, for work called `label`.
    pub fn task(&self, label: &'static str) -> Task<'static> {
        let mut progress = Progress::quiet(label);
        Task::new(self.stop.clone(), move |done, total| progress.set(done, total))
    }

    /// Progress of a training run, which is told of its last step.
    pub fn training(&self) -> (Progress, Task<'static>) {
        let progress = Progress::long();
        let bar = progress.bar();
        let task = Task::new(self.stop.clone(), move |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        (progress, task)
    }

    /// The result: `value` for programs, `text` for people. A reader that has gone away (`| head`) has seen enough.
    pub fn result(&self, value: Value, text: &str) -> Result<()> {
        if self.stdout_is_taken.get() {
            say(text);
            return Ok(());
        }
        let mut stdout = std::io::stdout();
        let written = match self.json {
            true => writeln!(stdout, "{value}"),
            false => writeln!(stdout, "{text}"),
        };
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Error::io("write", Path::new("the result"))(error))
            }
            _ => Ok(()),
        }
    }

    /// Something worth knowing that is not the result.
    pub fn note(&self, text: &str) {
        say(text);
    }

    /// Says that a file is written, unless it is standard output.
    pub fn wrote(&self, path: &Path) {
        if !self.stdout_is_taken.get() {
            self.note(&format!("wrote {}", path.display()));
        }
    }

    /// Saves a picture as PNG and says so; gives its path.
    pub fn save(&self, picture: &Picture, target: &Target, provenance: &Provenance) -> Result<PathBuf> {
        let path = target.save(&picture.to_png(provenance, target.path())?)?;
        self.wrote(&path);
        Ok(path)
    }
}

/// A line on stderr. Where stderr cannot be written, there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A path as text, also one that is not UTF-8, for JSON.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
