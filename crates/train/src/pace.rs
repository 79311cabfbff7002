//! Which rank the others wait for.

use std::time::Duration;

use web_time::Instant;

use residua_core::ranks::World;

/// A rank is slow if it takes more than this many times as long as the others.
const SLOW: f64 = 1.25;

/// Share of the last step in the running means: one slow step does not make a rank slow.
const NEW: f64 = 0.1;

/// How long each rank computes in a step, without waiting for others.
pub struct Pace {
    world: World,
    begun: Instant,
    waited: Duration,
    /// Running means of seconds, by rank; empty before the first step.
    means: Vec<f64>,
}

impl Pace {
    /// Before the first step.
    pub fn new(world: World) -> Self {
        Self { begun: Instant::now(), waited: world.waited(), means: Vec::new(), world }
    }

    /// A step begins.
    pub fn begin(&mut self) {
        (self.begun, self.waited) = (Instant::now(), self.world.waited());
    }

    /// A step ends, on all ranks. Returns the slowest rank and how many times as long as the others it takes, if that is
    /// notably longer.
    pub fn end(&mut self) -> Option<(usize, f64)> {
        if self.world.is_alone() {
            return None;
        }
        let mut seconds = vec![0.0; self.world.size()];
        let waited = self.world.waited() - self.waited;
        seconds[self.world.rank()] = self.begun.elapsed().saturating_sub(waited).as_secs_f64();
        self.world.sum_f64(&mut seconds);
        if self.means.is_empty() {
            self.means = seconds;
        } else {
            let follow = |(mean, new): (&mut f64, f64)| *mean += (new - *mean) * NEW;
            self.means.iter_mut().zip(seconds).for_each(follow);
        }
        slowest(&self.means)
    }
}

/// The rank with the largest of `seconds`, and how many times the mean of the others that is, if it is slow.
fn slowest(seconds: &[f64]) -> Option<(usize, f64)> {
    let (rank, most) = seconds.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let others = (seconds.iter().sum::<f64>() - most) / (seconds.len() - 1) as f64;
    (*most > SLOW * others).then(|| (rank, most / others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_slow_if_it_takes_notably_longer_than_the_others() {
        assert_eq!(slowest(&[1.0, 1.0, 2.5, 1.0]), Some((2, 2.5)));
        assert_eq!(slowest(&[1.0, 1.2]), None);
        assert_eq!(slowest(&[3.0, 1.5]), Some((0, 2.0)));
    }
}
