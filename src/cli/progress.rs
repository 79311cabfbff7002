//! Progress of long work: a bar on a terminal, else a line every minute.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::output::say;

/// Time between two lines.
const PACE: Duration = Duration::from_secs(60);

/// The progress of some work.
pub struct Progress {
    bar: ProgressBar,
    /// When the next line is due, if stderr is not a terminal.
    lines: Option<Pace>,
}

/// When the next line is due.
struct Pace {
    next: Instant,
}

impl Pace {
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + PACE;
        }
        is_due
    }
}

impl Progress {
    /// Progress whose first line is due after `wait`.
    fn after(wait: Duration) -> Self {
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
        bar.set_style(style.expect("a valid template"));
        let lines = (!std::io::stderr().is_terminal()).then(|| Pace { next: Instant::now() + wait });
        Self { bar, lines }
    }

    /// Progress of work that is usually short: the first line comes after a minute.
    pub fn quiet(label: &'static str) -> Self {
        let progress = Self::after(PACE);
        progress.bar.set_message(label);
        progress
    }

    /// Progress of work that takes hours: the first line comes at once.
    pub fn long() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Progress that another rank shows.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), lines: None }
    }

    /// The bar.
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Reports that `done` of `total` units are done.
    pub fn set(&mut self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        let label = self.bar.message();
        self.line(|| format!("{label}: {done} of {total}"), false);
        if done == total {
            self.bar.finish_and_clear();
        }
    }

    /// Reports step `steps` with its `news`. The last step always gets a line.
    pub fn tell(&mut self, steps: u64, news: &str) {
        self.bar.set_message(news.to_string());
        let (total, left) = (self.bar.length().unwrap_or(steps), self.bar.eta());
        let is_last = steps == total;
        let left = if is_last { String::new() } else { format!(", {} left", HumanDuration(left)) };
        self.line(|| format!("step {steps} of {total}: {news}{left}"), is_last);
    }

    fn line(&mut self, line: impl FnOnce() -> String, always: bool) {
        if self.lines.as_mut().is_some_and(|pace| pace.is_due(Instant::now()) || always) {
            say(&line());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_every_minute() {
        let begun = Instant::now();
        let mut pace = Pace { next: begun };
        let due: Vec<u64> = (0..100).filter(|&s| pace.is_due(begun + Duration::from_secs(s))).collect();
        assert_eq!(due, [0, 60]);
    }
}
