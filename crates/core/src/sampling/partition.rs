//! A random partition: items in random order, split into parts.

use std::ops::Range;

use crate::random::{pcg4d, permutation};

/// Separates these random numbers from others of the same seed.
const PARTITION: u32 = 0x7061_7274;

/// The order in which pass `pass` visits the `things` of image `image`. It depends only on these and the
/// seed, so it is the same on every device and in every batch.
pub fn order(things: &[usize], seed: u64, image: u32, pass: u32) -> Vec<usize> {
    let [a, b, c, _] = pcg4d([seed as u32 ^ PARTITION, (seed >> 32) as u32, image, pass]);
    permutation(things.len(), [a, b, c]).into_iter().map(|place| things[place]).collect()
}

/// The positions of `parts` parts of `count` things, in order. Sizes differ by at most one and no part is
/// empty,
/// so there are at most as many parts as things.
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
        fn a_partition_has_each_thing_once_in_parts_of_equal_size(
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
    fn images_passes_and_seeds_have_different_orders() {
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
