//! Evaluation on held-out pictures: mean metrics over all of them, and codebook usage.

use super::trainee::Measured;
use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_core::ranks::Ranks;
use residua_metrics::Usage;
use residua_metrics::merge::Merge;

/// Prefix of the names of metrics on held-out pictures.
pub const HELD_OUT: &str = "held_out_";

/// Name of the loss on held-out pictures.
pub const HELD_OUT_LOSS: &str = "held_out_loss";

/// Metrics accumulated so far.
#[derive(Default)]
pub struct Validation {
    /// Sums over pictures.
    sums: Measured,
    pictures: usize,
    /// Codebook usage, if counted.
    usage: Option<Usage>,
}

impl Validation {
    /// Adds metrics that are means over `pictures` pictures.
    pub fn add(&mut self, pictures: usize, means: &Measured) {
        for (name, mean) in means.all() {
            self.sums.add(name.clone(), mean * pictures as f64);
        }
        self.pictures += pictures;
    }

    /// Counts the codes in `stacks`; `sizes` are the codebook sizes.
    pub fn count(&mut self, sizes: &[usize], stacks: &[CodeStack]) {
        let usage = self.usage.get_or_insert_with(|| Usage::new(sizes));
        stacks.iter().for_each(|stack| usage.add(stack));
    }

    /// Replaces these metrics by those of all ranks of `world` together, each of which measured other pictures.
    ///
    /// # Errors
    /// The ranks counted the codes of different codebooks.
    pub fn merge(&mut self, world: &dyn Ranks) -> Result<()> {
        if world.is_alone() {
            return Ok(());
        }
        let sums: Vec<(&str, u64)> =
            self.sums.all().iter().map(|(name, sum)| (name.as_ref(), sum.to_bits())).collect();
        let own = serde_json::to_vec(&(sums, self.pictures, &self.usage)).map_err(Error::invalid)?;
        *self = Self::default();
        for bytes in world.gather(own) {
            let (sums, pictures, usage): (Vec<(String, u64)>, usize, Option<Usage>) =
                serde_json::from_slice(&bytes).map_err(Error::invalid)?;
            sums.into_iter().for_each(|(name, sum)| self.sums.add(name, f64::from_bits(sum)));
            self.pictures += pictures;
            match (&mut self.usage, usage) {
                (Some(all), Some(usage)) => all.merge(usage)?,
                (all, usage) => *all = all.take().or(usage),
            }
        }
        Ok(())
    }

    /// Means over all pictures, and codes used and perplexity at each depth; `None` if there were no
    /// pictures.
    pub fn finish(self) -> Option<Measured> {
        let Self { mut sums, pictures, usage } = self;
        if pictures == 0 {
            return None;
        }
        sums.divide(pictures as f64);
        let mut found = Measured::default();
        for (name, mean) in sums.all() {
            // Nats per code are averaged first; their exponential is the perplexity.
            match name.strip_prefix(NATS) {
                Some(depth) => found.add(format!("{HELD_OUT}perplexity_at_depth_{depth}"), mean.exp()),
                None => found.add(format!("{HELD_OUT}{name}"), *mean),
            }
        }
        let usage = usage.iter().flat_map(|usage| (0..usage.counts.len()).map(move |depth| (usage, depth)));
        for (usage, depth) in usage {
            let of = |what: &str| format!("{HELD_OUT}{what}_at_depth_{}", depth + 1);
            found.add(of("used"), usage.used(depth) as f64);
            found.add(of("perplexity"), usage.perplexity(depth));
        }
        Some(found)
    }
}

/// Prefix of the names of nats per code at a depth.
const NATS: &str = "nats_at_depth_";

/// The name of the nats per code at `depth`, counted from 0.
pub fn nats_at(depth: usize) -> String {
    format!("{NATS}{}", depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_averaged_and_codes_counted_over_all_pictures() {
        let mut found = Validation::default();
        let of = |loss: f64, nats: f64| {
            let mut measured = Measured::default();
            measured.add("loss", loss);
            measured.add(nats_at(2), nats);
            measured
        };
        found.add(3, &of(1.0, 2f64.ln()));
        found.add(1, &of(5.0, 2f64.ln()));
        found.count(&[4, 4], &[CodeStack::new(1, 2, 2, vec![0, 1, 1, 1]).unwrap()]);
        found.count(&[4, 4], &[CodeStack::new(1, 2, 2, vec![2, 1, 3, 1]).unwrap()]);
        let found = found.finish().unwrap();
        let near = |name: &str, expected: f64| {
            let value = found.get(name).unwrap();
            assert!((value - expected).abs() < 1e-12, "{name}: {value}");
        };
        near("held_out_loss", 2.0);
        near("held_out_used_at_depth_1", 4.0);
        near("held_out_used_at_depth_2", 1.0);
        near("held_out_perplexity_at_depth_1", 4.0);
        near("held_out_perplexity_at_depth_3", 2.0);
        assert!(Validation::default().finish().is_none());
    }
}
