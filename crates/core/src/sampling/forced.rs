//! Codes that a new stack takes from an existing one.

use crate::codes::CodeStack;

/// Codes that are given instead of sampled.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Forced {
    /// The source of the codes.
    pub stack: CodeStack,
    /// Which codes to keep, row-major in (row, column, depth).
    pub keep: Vec<bool>,
}

impl Forced {
    /// The cells with at least one code to sample, in ascending order.
    pub fn free(&self) -> Vec<usize> {
        let cells = self.keep.chunks(self.stack.depth()).enumerate();
        cells.filter(|(_, kept)| kept.contains(&false)).map(|(cell, _)| cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_free_if_any_of_its_codes_is() {
        let stack = CodeStack::new(2, 2, 2, vec![0; 8]).unwrap();
        let keep = vec![true, true, false, true, true, false, false, false];
        assert_eq!(Forced { stack, keep }.free(), [1, 2, 3]);
    }
}
