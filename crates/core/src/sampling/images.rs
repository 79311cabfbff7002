//! Numbers of images within a seed.

use std::ops::Range;

/// Numbers at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Images {
    /// The first.
    pub first: u32,
    /// The distance from each to the next.
    pub step: u32,
    /// How many there are.
    pub count: u32,
}

impl From<Range<u32>> for Images {
    fn from(range: Range<u32>) -> Self {
        Self { first: range.start, step: 1, count: range.end.saturating_sub(range.start) }
    }
}

impl Images {
    /// How many there are.
    pub fn len(self) -> usize {
        self.count as usize
    }

    /// True if there are none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Each number, in order.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..self.count).map(move |at| self.at(at))
    }

    /// The same numbers, at most `most` at a time.
    pub fn batches(self, most: u32) -> impl Iterator<Item = Self> {
        let batch = move |at| Self { first: self.at(at), count: most.min(self.count - at), ..self };
        (0..self.count).step_by(most as usize).map(batch)
    }

    /// The ascending `numbers`, in as few runs with distance `step` as possible.
    pub fn runs(numbers: impl Iterator<Item = u32>, step: u32) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some(run) if run.at(run.count - 1).checked_add(step) == Some(number) => run.count += 1,
                _ => runs.push(Self { first: number, step, count: 1 }),
            }
        }
        runs
    }

    fn at(self, at: u32) -> u32 {
        self.first + at * self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u32, step: u32, count: u32) -> Images {
        Images { first, step, count }
    }

    #[test]
    fn batches_have_all_numbers() {
        let all = run(3, 4, 5);
        let batches: Vec<Images> = all.batches(2).collect();
        assert_eq!(batches, [run(3, 4, 2), run(11, 4, 2), run(19, 4, 1)]);
        let numbers: Vec<u32> = batches.into_iter().flat_map(Images::numbers).collect();
        assert_eq!(numbers, [3, 7, 11, 15, 19]);
        assert_eq!(Images::from(5..8), run(5, 1, 3));
        assert!(Images::from(5..5).is_empty());
    }

    #[test]
    fn a_gap_begins_a_new_run() {
        let runs = |numbers: &[u32], step| Images::runs(numbers.iter().copied(), step);
        assert_eq!(runs(&[1, 3, 5, 9, 11], 2), [run(1, 2, 3), run(9, 2, 2)]);
        assert_eq!(runs(&[1, 3], 1), [run(1, 1, 1), run(3, 1, 1)]);
        assert_eq!(runs(&[u32::MAX], 7), [run(u32::MAX, 7, 1)]);
        assert_eq!(runs(&[], 1), []);
    }
}
