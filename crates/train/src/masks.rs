//! Which cells a training step masks (Draft-and-Revise, arXiv 2206.04452, section 3.2.3, equation 10).

use residua_core::random::{permutation, uniform};
use residua_kernels::dropout::Noise;

/// Domain separator for the random numbers.
const MASKS: u32 = 0x6d61_736b;

/// How many of `cells` to mask for `r` in [0, 1): usually most, and at least one.
pub fn masked_count(r: f32, cells: usize) -> usize {
    let share = (std::f32::consts::FRAC_PI_2 * r).cos();
    ((share * cells as f32).ceil() as usize).clamp(1, cells)
}

/// The masked cells of `images` stacks of `cells` each, as rows `image * cells + cell`: for each stack, a
/// random number of random cells.
pub fn masked_rows(images: usize, cells: usize, noise: Noise) -> Vec<usize> {
    let of = |image: usize| {
        let key = [noise.seed ^ MASKS, noise.pass, noise.first + image as u32];
        let [a, b, c] = key;
        let count = masked_count(uniform([a, b, c, 0]), cells);
        random_cells(count, cells, key).into_iter().map(move |cell| image * cells + cell)
    };
    (0..images).flat_map(of).collect()
}

/// `count` random cells out of `cells`, determined by `key`.
pub fn random_cells(count: usize, cells: usize, key: [u32; 3]) -> Vec<usize> {
    let mut order = permutation(cells, key);
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masked_count_follows_a_cosine() {
        let counts = [0.0, 1.0 / 3.0, 0.5, 2.0 / 3.0, 0.999_999].map(|r| masked_count(r, 64));
        // 64 times the cosines of 0, 30, 45, 60 and 90 degrees, rounded up; the last is at least 1.
        assert_eq!(counts, [64, 56, 46, 32, 1]);
    }

    /// Over many stacks, all cells are masked equally often.
    #[test]
    fn stacks_have_their_own_masks_and_cells_are_masked_equally_often() {
        let (images, cells) = (4000, 8);
        let rows = masked_rows(images, cells, Noise::new(3, 5));
        let mut by_cell = [0; 8];
        let mut by_image = vec![0; images];
        for &row in &rows {
            by_cell[row % cells] += 1;
            by_image[row / cells] += 1;
        }
        let mut distinct = rows.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), rows.len());
        // On average 2 / pi of 8 cells, plus half a cell for rounding up, are masked.
        assert!(by_cell.iter().all(|&count| (2600..3000).contains(&count)), "{by_cell:?}");
        assert!((1..=8).all(|count| by_image.contains(&count)));
        assert_ne!(rows, masked_rows(images, cells, Noise::new(3, 6)));
        assert_ne!(rows, masked_rows(images, cells, Noise::new(4, 5)));
    }
}
