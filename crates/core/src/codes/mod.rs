//! The code stack: an image as an `h x w` grid of cells with `depth` codes each.

pub mod npy;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::counted;

/// The codes of one image, row-major in (row, column, depth), the layout of the published code. In each cell,
/// the code at depth `d` quantizes the residual of the codes above it (paper, section 3.1).
///
/// As JSON: `{"shape": [h, w, depth], "codes": [..]}`; deserializing runs the checks of [`CodeStack::new`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct CodeStack {
    shape: [usize; 3],
    codes: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    shape: [usize; 3],
    codes: Vec<u32>,
}

impl TryFrom<Unchecked> for CodeStack {
    type Error = Error;

    fn try_from(Unchecked { shape: [h, w, depth], codes }: Unchecked) -> Result<Self> {
        Self::new(h, w, depth, codes)
    }
}

impl CodeStack {
    /// A stack with `h` rows, `w` columns and `depth` codes per cell.
    ///
    /// # Errors
    /// A size is zero, or `codes` does not hold `h * w * depth` values.
    pub fn new(h: usize, w: usize, depth: usize, codes: Vec<u32>) -> Result<Self> {
        let count = h.checked_mul(w).and_then(|cells| cells.checked_mul(depth));
        if count == Some(0) || count != Some(codes.len()) {
            let found = codes.len();
            return Err(Error::invalid(format!(
                "a {h}x{w}x{depth} code stack needs exactly h * w * depth codes, at least one; found {found}"
            )));
        }
        Ok(Self { shape: [h, w, depth], codes })
    }

    /// `[h, w, depth]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Rows of the grid.
    pub fn h(&self) -> usize {
        self.shape[0]
    }

    /// Columns of the grid.
    pub fn w(&self) -> usize {
        self.shape[1]
    }

    /// Codes per cell.
    pub fn depth(&self) -> usize {
        self.shape[2]
    }

    /// All codes, row-major in (row, column, depth).
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The cells in row-major order, `depth` codes each.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.codes.chunks_exact(self.depth())
    }

    /// The code at a position.
    ///
    /// # Errors
    /// The position is outside the stack.
    pub fn at(&self, row: usize, col: usize, depth: usize) -> Result<u32> {
        self.index(row, col, depth).map(|index| self.codes[index])
    }

    /// Sets the code at a position.
    ///
    /// # Errors
    /// The position is outside the stack.
    pub fn set(&mut self, row: usize, col: usize, depth: usize, code: u32) -> Result<()> {
        let index = self.index(row, col, depth)?;
        self.codes[index] = code;
        Ok(())
    }

    /// Checks every code against the codebook of its depth, which has `codebook_sizes[depth]` entries.
    ///
    /// # Errors
    /// The stack's depth differs from the number of sizes, or a code is outside its codebook; the first one
    /// is named.
    pub fn validate(&self, codebook_sizes: &[usize]) -> Result<()> {
        if codebook_sizes.len() != self.depth() {
            let (expected, found) = (codebook_sizes.len(), self.depth());
            return Err(Error::invalid(format!(
                "expected {} per cell, as in the model, found {found}",
                counted(expected, "code")
            )));
        }
        let size_at = |index: usize| codebook_sizes[index % self.depth()];
        match self.codes.iter().enumerate().find(|&(index, &code)| code as usize >= size_at(index)) {
            None => Ok(()),
            Some((index, code)) => {
                let (row, col, depth) = self.place(index);
                let last = size_at(index).saturating_sub(1);
                Err(Error::invalid(format!(
                    "row {row}, column {col}, depth {depth}: expected a code from 0 to {last}, found {code}"
                )))
            }
        }
    }

    /// The positions `(row, column, depth)` where two stacks differ, in storage order.
    ///
    /// # Errors
    /// The stacks have different shapes.
    pub fn diff(&self, other: &Self) -> Result<Vec<(usize, usize, usize)>> {
        if self.shape != other.shape {
            let ([h, w, depth], [other_h, other_w, other_depth]) = (self.shape, other.shape);
            return Err(Error::invalid(format!(
                "only code stacks of the same shape can be compared: expected {h}x{w}x{depth}, \
                 found {other_h}x{other_w}x{other_depth}"
            )));
        }
        let pairs = self.codes.iter().zip(&other.codes).enumerate();
        Ok(pairs.filter(|(_, (a, b))| a != b).map(|(index, _)| self.place(index)).collect())
    }

    /// This stack with the cells of `other` for which `taken` is true, row-major.
    ///
    /// # Errors
    /// The stacks have different shapes.
    ///
    /// # Panics
    /// `taken` has fewer values than there are cells.
    pub fn with_cells(&self, taken: &[bool], other: &Self) -> Result<Self> {
        let mut stack = self.clone();
        for (row, col, depth) in self.diff(other)? {
            if taken[row * self.w() + col] {
                stack.set(row, col, depth, other.at(row, col, depth)?)?;
            }
        }
        Ok(stack)
    }

    fn index(&self, row: usize, col: usize, depth: usize) -> Result<usize> {
        let [h, w, depths] = self.shape;
        if row >= h || col >= w || depth >= depths {
            return Err(Error::usage(format!(
                "row {row}, column {col}, depth {depth} is outside the {h}x{w}x{depths} code stack; indices start at 0"
            )));
        }
        Ok((row * w + col) * depths + depth)
    }

    fn place(&self, index: usize) -> (usize, usize, usize) {
        let [_, w, depths] = self.shape;
        (index / depths / w, index / depths % w, index % depths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> CodeStack {
        CodeStack::new(2, 3, 4, (0..24).collect()).unwrap()
    }

    #[test]
    fn sizes_are_checked() {
        for (h, w, depth, count) in
            [(2, 3, 4, 23), (0, 3, 4, 0), (usize::MAX, usize::MAX, 2, 2), (0, 0, 0, 0)]
        {
            let message = CodeStack::new(h, w, depth, vec![0; count]).unwrap_err().to_string();
            assert!(message.contains(&format!("{h}x{w}x{depth}")), "{message}");
            assert!(message.ends_with(&format!("found {count}")), "{message}");
        }
    }

    #[test]
    fn positions_are_row_major() {
        let mut stack = counting();
        assert_eq!(stack.at(1, 2, 3).unwrap(), 23);
        assert_eq!(stack.at(0, 1, 2).unwrap(), 6);
        assert_eq!(stack.cells().nth(4).unwrap(), [16, 17, 18, 19]);
        stack.set(1, 0, 1, 99).unwrap();
        assert_eq!(stack.codes()[13], 99);
        assert_eq!(stack.diff(&counting()).unwrap(), [(1, 0, 1)]);
        assert_eq!(stack.diff(&stack).unwrap(), []);
    }

    #[test]
    fn cells_are_taken_with_all_their_codes() {
        let (stack, other) = (counting(), CodeStack::new(2, 3, 4, vec![99; 24]).unwrap());
        let found = stack.with_cells(&[false, true, false, false, true, false], &other).unwrap();
        let taken: Vec<bool> = found.cells().map(|codes| codes == [99; 4]).collect();
        assert_eq!(taken, [false, true, false, false, true, false]);
        assert_eq!(found.cells().nth(3), stack.cells().nth(3));
        assert!(stack.with_cells(&[true; 6], &CodeStack::new(3, 2, 4, vec![0; 24]).unwrap()).is_err());
    }

    #[test]
    fn a_position_outside_is_an_error() {
        let mut stack = counting();
        for (row, col, depth) in [(2, 0, 0), (0, 3, 0), (0, 0, 4)] {
            let message = stack.set(row, col, depth, 0).unwrap_err().to_string();
            assert!(message.contains("outside the 2x3x4 code stack"), "{message}");
            assert!(stack.at(row, col, depth).is_err());
        }
    }

    #[test]
    fn codes_are_checked_against_the_codebook_of_their_depth() {
        let stack = counting();
        stack.validate(&[24; 4]).unwrap();
        stack.validate(&[21, 22, 23, 24]).unwrap();
        let message = stack.validate(&[24, 18, 24, 24]).unwrap_err().to_string();
        assert_eq!(message, "row 1, column 2, depth 1: expected a code from 0 to 17, found 21");
        let message = stack.validate(&[24; 3]).unwrap_err().to_string();
        assert_eq!(message, "expected 3 codes per cell, as in the model, found 4");
    }

    #[test]
    fn stacks_of_different_shapes_cannot_be_compared() {
        let other = CodeStack::new(3, 2, 4, vec![0; 24]).unwrap();
        let message = counting().diff(&other).unwrap_err().to_string();
        assert!(message.ends_with("expected 2x3x4, found 3x2x4"), "{message}");
    }

    #[test]
    fn json_round_trips_and_is_checked() {
        let json = serde_json::to_string(&counting()).unwrap();
        assert!(json.starts_with(r#"{"shape":[2,3,4],"codes":[0,1,"#), "{json}");
        assert_eq!(serde_json::from_str::<CodeStack>(&json).unwrap(), counting());
        for wrong in [
            r#"{"shape":[2,3,4],"codes":[1]}"#,
            r#"{"shape":[4294967296,4294967296,1],"codes":[]}"#,
            r#"{"shape":[1,1,1],"codes":[-1]}"#,
            r#"{"shape":[1,1],"codes":[1]}"#,
        ] {
            assert!(serde_json::from_str::<CodeStack>(wrong).is_err(), "{wrong}");
        }
    }
}
