//! What a model makes of the pictures that are held out: means over all of them, and how its codes are used.

use super::trainee::Measured;
use crate::codes::CodeStack;
use crate::metrics::Usage;

/// Comes before the names of what is measured on held-out pictures.
pub const HELD_OUT: &str = "held_out_";

/// The name of the loss on held-out pictures.
pub const HELD_OUT_LOSS: &str = "held_out_loss";

/// What was measured so far.
#[derive(Default)]
pub struct Validation {
    /// Sums over pictures.
    sums: Measured,
    pictures: usize,
    /// Uses of the codes, where it is known.
    usage: Option<Usage>,
}

impl Validation {
    /// Adds what was measured on `pictures` pictures: means over them.
    pub fn add(&mut self, pictures: usize, means: &Measured) {
        for (name, mean) in means.all() {
            self.sums.add(name.clone(), mean * pictures as f64);
        }
        self.pictures += pictures;
    }

    /// Counts the codes of `stacks`, of codebooks of these `sizes`.
    pub fn count(&mut self, sizes: &[usize], stacks: &[CodeStack]) {
        let usage = self.usage.get_or_insert_with(|| Usage::new(sizes));
        stacks.iter().for_each(|stack| usage.add(stack));
    }

    /// Means over all pictures, codes used and perplexities by depth; `None` where there were no pictures.
    pub fn finish(self) -> Option<Measured> {
        let Self { mut sums, pictures, usage } = self;
        if pictures == 0 {
            return None;
        }
        sums.divide(pictures as f64);
        let mut found = Measured::default();
        for (name, mean) in sums.all() {
            // Nats are a logarithm: they become what they are the logarithm of.
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

/// Comes before the number of a depth in the name of what its codes take, in nats a code.
const NATS: &str = "nats_at_depth_";

/// The name of what the codes at `depth`, which counts from 0, take in nats a code.
pub fn nats_at(depth: usize) -> String {
    format!("{NATS}{}", depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_pictures_and_codes_over_all_of_them() {
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
