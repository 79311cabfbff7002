//! Codebook usage.

use serde::{Deserialize, Serialize};

use super::merge::Merge;
use residua_core::codes::CodeStack;
use residua_core::error::Result;

/// How often each code is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Pictures counted.
    pub pictures: usize,
    /// Files that could not be read.
    pub unreadable: usize,
    /// Uses of each code, one list per depth.
    pub counts: Vec<Vec<u32>>,
}

impl Usage {
    /// Empty counts for codebooks of these sizes.
    pub fn new(sizes: &[usize]) -> Self {
        Self { pictures: 0, unreadable: 0, counts: sizes.iter().map(|&size| vec![0; size]).collect() }
    }

    /// Counts the codes of a stack.
    pub fn add(&mut self, stack: &CodeStack) {
        self.pictures += 1;
        for cell in stack.cells() {
            for (counts, &code) in self.counts.iter_mut().zip(cell) {
                if let Some(count) = counts.get_mut(code as usize) {
                    *count += 1;
                }
            }
        }
    }

    /// Entropy of the codes at `depth`, in bits: the lower bound for coding each code by itself.
    pub fn entropy(&self, depth: usize) -> f64 {
        let total: f64 = self.counts[depth].iter().map(|&count| f64::from(count)).sum();
        let used = self.counts[depth].iter().filter(|&&count| count > 0);
        used.map(|&count| f64::from(count) / total).map(|p| -p * p.log2()).sum()
    }

    /// Perplexity of the codes at `depth`: 2 to the entropy; 0 if none were counted.
    pub fn perplexity(&self, depth: usize) -> f64 {
        if self.used(depth) == 0 { 0.0 } else { self.entropy(depth).exp2() }
    }

    /// Number of distinct codes used at `depth`.
    pub fn used(&self, depth: usize) -> usize {
        self.counts[depth].iter().filter(|&&count| count > 0).count()
    }
}

impl Merge for Usage {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.pictures += other.pictures;
        self.unreadable += other.unreadable;
        self.counts.merge(other.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_counts_codes_at_their_depth() {
        let mut usage = Usage::new(&[4, 2]);
        assert_eq!(usage.perplexity(0), 0.0);
        usage.add(&CodeStack::new(1, 4, 2, vec![0, 1, 1, 1, 2, 1, 3, 1]).unwrap());
        assert_eq!(usage.counts, [vec![1, 1, 1, 1], vec![0, 4]]);
        assert!((usage.perplexity(0) - 4.0).abs() < 1e-12);
        assert!((usage.perplexity(1) - 1.0).abs() < 1e-12);
        assert_eq!((usage.used(0), usage.used(1), usage.pictures), (4, 1, 1));
        usage.merge(usage.clone()).unwrap();
        assert_eq!((&usage.counts, usage.pictures), (&vec![vec![2, 2, 2, 2], vec![0, 8]], 2));
        assert!(usage.merge(Usage::new(&[4])).is_err());
    }
}
