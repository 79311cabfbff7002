//! What the command line shows: results on stdout, progress and notes on stderr; and what stops it.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::progress::Progress;
use crate::app::Warnings;
use crate::engine::Task;
use crate::error::{Error, Result};
use crate::image_io::Picture;
use crate::image_io::png_text::Provenance;

/// Where results and notes go.
pub struct Console {
    json: bool,
    stop: Arc<AtomicBool>,
}

/// Warnings go to stderr, where `RUST_LOG` asks for more, and to the studio if it is open.
pub fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("residua=warn,error"));
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would say so on stderr, too, and panic where a terminal that was closed has taken that away.
        .log_internal_errors(false)
        .with_filter(filter);
    // What nobody hears is not even formatted.
    let warnings = Warnings.with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines).with(warnings).init();
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
        Ok(Self { json, stop })
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

    /// Saves a picture and says so.
    pub fn save(&self, picture: &Picture, path: &Path, provenance: &Provenance) -> Result<()> {
        picture.save_png(path, provenance)?;
        self.note(&format!("wrote {}", path.display()));
        Ok(())
    }
}

/// A line on stderr. Where stderr cannot be written, there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Creates `folder` and those above it.
pub fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))
}
