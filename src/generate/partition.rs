//! A random partition: things in a random order, cut into parts.

use std::ops::Range;

use crate::random::{pcg4d, permutation};

/// Separates what the random numbers are for.
const PARTITION: u32 = 0x7061_7274;

/// The order in which pass `pass` takes up the `things` of image `image`: determined by these and the seed alone, so that it is the
/// same on every device and in every batch.
pub fn order(things: &[usize], seed: u64, image: u32, pass: u32) -> Vec<usize> {
    let [a, b, c, _] = pcg4d([seed as u32 ^ PARTITION, (seed >> 32) as u32, image, pass]);
    permutation(things.len(), [a, b, c]).into_iter().map(|place| things[place]).collect()
}

/// The ranks of `parts` parts of `count` things, in order: sizes differ by at most one, and no part is empty, so that there are at
/// most as many parts as things.
pub fn parts(count: usize, parts: usize) -> Vec<Range<usize>> {
    let parts = parts.min(count);
    (0..parts).map(|part| part * count / parts..(part + 1) * count / parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_partition_has_each_thing_once_in_parts_of_one_size(
            count in 0usize..300, wanted in 1usize..400, seed: u64, image: u32, pass in 0u32..10,
        ) {
            let things: Vec<usize> = (0..count).map(|i| 3 * i + 1).collect();
            let order = order(&things, seed, image, pass);
            let parts = parts(count, wanted);
            prop_assert_eq!(parts.len(), wanted.min(count));
            let mut all: Vec<usize> = parts.iter().flat_map(|part| order[part.clone()].to_vec()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, things);
            let sizes = || parts.iter().map(|part| part.len());
            prop_assert!(sizes().max().unwrap_or(0) - sizes().min().unwrap_or(0) <= 1);
        }
    }

    #[test]
    fn images_passes_and_seeds_have_orders_of_their_own() {
        let things: Vec<usize> = (0..64).collect();
        let first = order(&things, 1, 0, 0);
        assert_eq!(first, order(&things, 1, 0, 0));
        for other in [
            order(&things, 2, 0, 0),
            order(&things, 1 << 32 | 1, 0, 0),
            order(&things, 1, 1, 0),
            order(&things, 1, 0, 1),
        ] {
            assert_ne!(first, other);
        }
    }
}
