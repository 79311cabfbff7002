//! Console output: results on stdout, progress and notes on stderr. Also handles the signals that stop work.

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
use residua_core::error::{Error, Result};
use residua_core::ranks::World;
use residua_core::task::{self, Task};
use residua_core::warnings::Warnings;
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;

/// Where results and notes go.
pub struct Console {
    json: bool,
    /// All processes of the job; only rank 0 prints.
    world: World,
    stop: Arc<AtomicBool>,
    /// True if a file goes to stdout, so nothing else may.
    stdout_is_taken: Cell<bool>,
}

/// Starts logging. Each warning goes to stderr once, on rank 0, unless `RUST_LOG` asks for more, and to the studio if it
/// is open.
pub fn start_log(world: &World) {
    let asked = tracing_subscriber::EnvFilter::try_from_default_env().ok();
    let all = asked.is_some();
    let usual = if world.leads() { "residua=warn,error" } else { "off" };
    let filter = asked.unwrap_or_else(|| tracing_subscriber::EnvFilter::new(usual));
    let said = Arc::new(Mutex::new(HashSet::new()));
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(move || Once { said: (!all).then(|| said.clone()) })
        // Internal errors would also go to stderr, and panic if its terminal was closed.
        .log_internal_errors(false)
        .with_filter(filter);
    // Less severe messages have no reader, so they are not even formatted.
    let warnings = Warnings.with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines).with(warnings).init();
}

/// Stderr, without lines that were already `said`. Each message is a line, even if it has a name with line breaks.
struct Once {
    said: Option<Arc<Mutex<HashSet<Vec<u8>>>>>,
}

impl Write for Once {
    fn write(&mut self, message: &[u8]) -> std::io::Result<usize> {
        let text = message.strip_suffix(b"\n").unwrap_or(message);
        let unbroken = text.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
        let line: Vec<u8> = unbroken.chain(*b"\n").collect();
        let is_new = self
            .said
            .as_ref()
            .is_none_or(|said| said.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()));
        if is_new {
            std::io::stderr().write_all(&line)?
        };
        Ok(message.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl Console {
    /// Also catches Ctrl-C: the first stops the work at its next unit, the second kills the process. SIGTERM
    /// (end of a session, job or container) and SIGHUP (closed terminal, except under `nohup`) stop the work, too,
    /// and may arrive several times. So do a closing console on Windows, and SIGUSR1 under `mpirun`, which passes it on
    /// to all ranks; after most other signals, it kills them.
    pub fn new(json: bool, world: World) -> Result<Self> {
        let stop = task::interrupted();
        let (seen, leads) = (stop.clone(), world.leads());
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            if leads {
                say("stopping; press Ctrl-C again to quit immediately");
            }
        })
        .map_err(|e| Error::invalid(format!("cannot catch Ctrl-C: {e}")))?;
        #[cfg(unix)]
        for signal in crate::signals::stopping(!world.is_alone()) {
            signal_hook::flag::register(signal, stop.clone())
                .map_err(|e| Error::invalid(format!("cannot catch signal {signal}: {e}")))?;
        }
        #[cfg(windows)]
        {
            let stop = stop.clone();
            crate::signals::before_end(move || stop.store(true, Ordering::Relaxed))
                .map_err(|e| Error::invalid(format!("cannot catch a closing console: {e}")))?;
        }
        Ok(Self { json, world, stop, stdout_is_taken: Cell::new(false) })
    }

    /// All processes of the job.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Reserves stdout for a file: the result goes to stderr.
    ///
    /// # Errors
    /// `--json` needs stdout for the result.
    pub fn take_stdout(&self) -> Result<()> {
        if self.json {
            return Err(Error::usage("--json prints on standard output: write to a named file instead"));
        }
        self.stdout_is_taken.set(true);
        Ok(())
    }

    /// A progress bar with a time estimate, for work called `label`.
    pub fn task(&self, label: &'static str) -> Task<'static> {
        if !self.world.leads() {
            return Task::new(self.stop.clone(), |_, _| ());
        }
        let mut progress = Progress::quiet(label);
        Task::new(self.stop.clone(), move |done, total| progress.set(done, total))
    }

    /// The progress and the task of a training run. The caller reports the last step.
    pub fn training(&self) -> (Progress, Task<'static>) {
        let progress = if self.world.leads() { Progress::long() } else { Progress::hidden() };
        let bar = progress.bar();
        let task = Task::new(self.stop.clone(), move |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        (progress, task)
    }

    /// Prints the result: `value` with `--json`, else `text`. A closed pipe (`| head`) is not an error.
    pub fn result(&self, value: Value, text: &str) -> Result<()> {
        if !self.world.leads() {
            return Ok(());
        }
        if self.stdout_is_taken.get() {
            say(text);
            return Ok(());
        }
        let mut stdout = std::io::stdout();
        let written = if self.json { writeln!(stdout, "{value}") } else { writeln!(stdout, "{text}") };
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Error::io("write", Path::new("the result"))(error))
            }
            _ => Ok(()),
        }
    }

    /// Prints a note that is not part of the result.
    pub fn note(&self, text: &str) {
        if self.world.leads() {
            say(text);
        }
    }

    /// Prints that a file was written, unless it went to standard output.
    pub fn wrote(&self, path: &Path) {
        if !self.stdout_is_taken.get() {
            // The name may come from elsewhere.
            self.note(&format!("wrote {}", path.display()).replace(char::is_control, " "));
        }
    }

    /// Saves a picture as PNG, prints a note and returns its path.
    pub fn save(&self, picture: &Picture, target: &Target, provenance: &Provenance) -> Result<PathBuf> {
        let path = target.save(&picture.to_png(provenance, target.path())?)?;
        self.wrote(&path);
        Ok(path)
    }
}

/// Prints a line on stderr. Errors are ignored, as there is no other place to report them.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A path as text for JSON, lossy if it is not UTF-8.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
