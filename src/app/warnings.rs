//! Warnings of the library on their way to the log panel.

use std::fmt::{Debug, Write};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What takes a warning.
type Listener = Box<dyn Fn(String) + Send>;

/// The log of the studio that is open. Subscribers are of the whole process, so that this is too.
static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// Hands warnings to `log` from now on, in place of the log before it.
pub fn listen(log: impl Fn(String) + Send + 'static) {
    // A listener that panicked is not asked again.
    if let Ok(mut listener) = LISTENER.lock() {
        *listener = Some(Box::new(log));
    }
}

/// Hands on our own warnings, and everybody's errors.
pub struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let ours = metadata.target().starts_with("residua") && *metadata.level() == Level::WARN;
        if !ours && *metadata.level() != Level::ERROR {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        if let Ok(listener) = LISTENER.lock()
            && let Some(log) = &*listener
        {
            log(text.0);
        }
    }
}

/// The message of an event, and its other fields behind.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        // Writing to a string cannot fail.
        let _ = written;
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn warnings_are_heard_and_notes_are_not() {
        let (log, heard) = std::sync::mpsc::channel();
        super::listen(move |line| log.send(line).expect("heard below"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(super::Warnings), || {
            tracing::info!("a note");
            tracing::warn!("key {} is not known", "a.b");
            tracing::warn!(target: "wgpu", "a warning of others");
            tracing::error!(target: "wgpu", code = 7, "an error of others");
        });
        super::listen(drop);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["key a.b is not known", "an error of others code=7"]);
    }
}
