//! How often previews of an unfinished picture are made: each one delays the result.

use web_time::{Duration, Instant};

/// Least time between two previews. Nobody can follow faster ones.
const APART: Duration = Duration::from_millis(100);

/// Least time between two previews, in multiples of what one takes: they take at most a third of the time.
const SPARING: u32 = 2;

/// When the next preview is due. The first is due at once.
#[derive(Default)]
pub struct Pace {
    next: Option<Instant>,
}

impl Pace {
    /// Whether a preview is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// Records that a preview was made from `begun` to `ended`.
    pub fn made(&mut self, begun: Instant, ended: Instant) {
        self.next = Some(ended + APART.max(SPARING * (ended - begun)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_few_if_they_are_slow() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut pace = Pace::default();
        assert!(pace.is_due(start));
        pace.made(at(0), at(5));
        assert!(!pace.is_due(at(104)) && pace.is_due(at(105)));
        pace.made(at(200), at(600));
        assert!(!pace.is_due(at(1399)) && pace.is_due(at(1400)));
    }
}
