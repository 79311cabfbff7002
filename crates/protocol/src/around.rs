//! The area around a cell.

use std::ops::Range;

/// Number of cells on each side.
const SIDES: usize = 1;

/// Rows and columns around a cell in a grid of `h x w`. The area has the same size everywhere: it shifts at
/// the edges.
pub fn around([row, col]: [usize; 2], h: usize, w: usize) -> [Range<usize>; 2] {
    let along = |place: usize, count: usize| {
        let size = (2 * SIDES + 1).min(count);
        let first = place.saturating_sub(SIDES).min(count - size);
        first..first + size
    };
    [along(row, h), along(col, w)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_have_one_size_and_contain_the_cell() {
        assert_eq!(around([3, 0], 8, 8), [2..5, 0..3]);
        assert_eq!(around([7, 4], 8, 8), [5..8, 3..6]);
        assert_eq!(around([0, 1], 1, 2), [0..1, 0..2]);
    }
}
