//! Passes the library's warnings to the log panel.

use std::fmt::{Debug, Write};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Receives warnings.
type Listener = Box<dyn Fn(String) + Send>;

/// The open studio's log. It is global because tracing subscribers are.
static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// Sends warnings to `log` from now on, instead of to the previous listener.
pub fn listen(log: impl Fn(String) + Send + 'static) {
    // The lock fails only if a listener panicked.
    if let Ok(mut listener) = LISTENER.lock() {
        *listener = Some(Box::new(log));
    }
}

/// Messages from other crates to replace or drop: the crate, a substring of the message, and the replacement.
const REPLACED: [(&str, &str, Option<&str>); 2] = [
    (
        "rfd",
        "with zenity",
        Some(
            "no file dialog could be opened: neither a desktop portal nor zenity was found. Install \
             xdg-desktop-portal with a backend, or zenity; you can also drop files on the window",
        ),
    ),
    // Without a portal, rfd tries zenity next.
    ("rfd", "", None),
];

/// Passes on Residua's warnings, and errors from any crate.
pub struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let ours = metadata.target().starts_with("residua") && *metadata.level() == Level::WARN;
        if !ours && *metadata.level() != Level::ERROR {
            return;
        }
        let mut said = Said { target: metadata.target().into(), text: String::new() };
        event.record(&mut said);
        if let Some(text) = said.told()
            && let Ok(listener) = LISTENER.lock()
            && let Some(log) = &*listener
        {
            log(text);
        }
    }
}

/// A message: its crate, and its text followed by the other fields.
struct Said {
    target: String,
    text: String,
}

impl Said {
    /// The text to show, if any.
    fn told(self) -> Option<String> {
        let replaced = REPLACED
            .iter()
            .find(|(target, words, _)| self.target.starts_with(target) && self.text.contains(words));
        match replaced {
            Some((.., told)) => told.map(String::from),
            None => Some(self.text),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            // Records of the `log` crate carry their source location in fields.
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.text, " {name}={value:?}"),
        };
        // Writing to a string cannot fail.
        let _ = written;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = value.into(),
            _ => self.record_debug(field, &value),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn warnings_are_passed_on_and_notes_are_not() {
        let (log, heard) = std::sync::mpsc::channel();
        super::listen(move |line| log.send(line).expect("heard below"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(super::Warnings), || {
            tracing::info!("a note");
            tracing::warn!("key {} is not known", "a.b");
            tracing::warn!(target: "wgpu", "a warning of others");
            tracing::error!(target: "wgpu", code = 7, "an error of others");
            // How records of the `log` crate arrive.
            tracing::error!(target: "log", { log.target = "rfd::backend", log.line = 9 }, "no bus");
            tracing::error!(target: "log", { log.target = "rfd::backend" }, "Failed to pick file with zenity: no");
        });
        super::listen(drop);
        let heard: Vec<String> = heard.iter().collect();
        assert_eq!(heard[..2], ["key a.b is not known", "an error of others code=7"]);
        assert!(heard[2].starts_with("no file dialog could be opened") && heard.len() == 3, "{heard:?}");
    }
}
