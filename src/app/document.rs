//! The open document: a code stack with its edit history, selection and view. No widgets, no tensors.

use std::sync::Arc;

use residua_core::codes::CodeStack;
use residua_core::error::Result;
use residua_core::text::counted;
use residua_io::image_io::Picture;
use residua_io::image_io::framing::Framing;
use residua_protocol::{Condition, Layers, Recipe, Seen, Surprise, View};

/// Number of states kept for undo.
const MOST_EDITS: usize = 1000;

/// A state in the edit history.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The edit's name in the undo and redo tooltips.
    pub what: String,
    /// The codes.
    pub stack: Arc<CodeStack>,
    /// Number of codes that each cell uses, row-major.
    pub limits: Arc<Vec<usize>>,
}

/// Whether layers are shown summed or alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Mode {
    /// The codes down to the chosen depth.
    #[default]
    Add,
    /// The code at the chosen depth alone.
    Select,
}

/// The opened picture, of any size, and the part of it to encode.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The picture.
    pub picture: Arc<Picture>,
    /// The part to encode.
    pub framing: Framing,
}

/// An open stack.
pub struct Document {
    /// The file's name, or how the stack was made.
    pub name: String,
    /// The encoded picture, at the model's resolution.
    pub original: Option<Arc<Picture>>,
    /// The picture that `original` was cut from.
    pub source: Option<Source>,
    /// How the opened codes were made, if known.
    pub recipe: Option<Recipe>,
    /// The condition given to the transformer.
    pub condition: Condition,
    /// The edit history, oldest state first.
    edits: Vec<Edit>,
    /// Index of the current state in `edits`.
    now: usize,
    /// Row and column of the pinned cell.
    pub pinned: Option<[usize; 2]>,
    /// Whether each cell is selected, row-major.
    pub selected: Vec<bool>,
    /// The chosen depth, from 0.
    pub depth: usize,
    /// Whether layers are shown summed or alone.
    pub mode: Mode,
    /// Preview of a revision, until what it changes is decoded.
    pub preview: Option<Arc<Picture>>,
    /// The decoded stack; an earlier one until the current stack is decoded.
    pub seen: Option<Arc<Seen>>,
    /// The layers, which may also be of an earlier stack.
    pub layers: Option<Arc<Layers>>,
    /// How likely the transformer finds the codes, if measured.
    pub surprise: Option<Arc<Surprise>>,
}

impl Document {
    /// Opens `stack`.
    pub fn new(
        name: &str,
        stack: Arc<CodeStack>,
        original: Option<Arc<Picture>>,
        condition: Condition,
    ) -> Self {
        let cells = stack.h() * stack.w();
        let limits = Arc::new(vec![stack.depth(); cells]);
        Self {
            name: name.into(),
            original,
            source: None,
            recipe: None,
            condition,
            depth: stack.depth() - 1,
            edits: vec![Edit { what: "open".into(), stack, limits }],
            now: 0,
            pinned: None,
            selected: vec![false; cells],
            mode: Mode::Add,
            preview: None,
            seen: None,
            layers: None,
            surprise: None,
        }
    }

    /// The current state.
    pub fn edit(&self) -> &Edit {
        &self.edits[self.now]
    }

    /// The current codes.
    pub fn stack(&self) -> &Arc<CodeStack> {
        &self.edit().stack
    }

    /// The codes as opened.
    pub fn opened(&self) -> &Arc<CodeStack> {
        &self.edits[0].stack
    }

    /// The view for the engine to decode.
    pub fn view(&self) -> View {
        let Edit { stack, limits, .. } = self.edit().clone();
        View { stack, limits, original: self.original.clone() }
    }

    /// The preview of a revision, or else the picture of the chosen depth and mode, if decoded.
    pub fn shown(&self) -> Option<&Arc<Picture>> {
        if self.preview.is_some() {
            return self.preview.as_ref();
        }
        match (&self.layers, self.mode) {
            (Some(layers), Mode::Add) if !self.is_at_last() => layers.add.get(self.depth),
            (Some(layers), Mode::Select) => layers.select.get(self.depth),
            _ => self.seen.as_ref().map(|seen| &seen.picture),
        }
    }

    /// The current state's picture, once it is decoded.
    pub fn decoded(&self) -> Option<&Arc<Picture>> {
        let Edit { stack, limits, .. } = self.edit();
        let seen = self.seen.as_ref().filter(|seen| seen.stack == *stack && seen.limits == *limits);
        seen.map(|seen| &seen.picture)
    }

    /// Takes the decoded stack.
    pub fn take_seen(&mut self, seen: Arc<Seen>) {
        self.seen = Some(seen);
        // In place of the preview, layers would show the codes before the revision.
        if self.is_at_last() || self.layers.is_none() {
            self.preview = None;
        }
    }

    /// Takes the layers.
    pub fn take_layers(&mut self, layers: Arc<Layers>) {
        self.layers = Some(layers);
        self.preview = None;
    }

    /// Forgets all pictures of the codes, because another model decodes them now.
    pub fn forget_decoded(&mut self) {
        (self.preview, self.seen, self.layers) = (None, None, None);
    }

    /// Whether the codes of all depths are viewed, summed.
    fn is_at_last(&self) -> bool {
        self.mode == Mode::Add && self.depth + 1 == self.stack().depth()
    }

    /// Replaces the current `stack` and `limits`, and clears the redo history. Returns false and does nothing
    /// if they are equal.
    pub fn change(&mut self, what: impl Into<String>, stack: CodeStack, limits: Vec<usize>) -> bool {
        if *self.edit().stack == stack && *self.edit().limits == limits {
            return false;
        }
        self.edits.truncate(self.now + 1);
        self.edits.push(Edit { what: what.into(), stack: Arc::new(stack), limits: Arc::new(limits) });
        if self.edits.len() > MOST_EDITS {
            // Keeps the opened state, for comparison.
            self.edits.remove(1);
        }
        self.now = self.edits.len() - 1;
        true
    }

    /// Replaces the current codes.
    pub fn change_codes(&mut self, what: impl Into<String>, stack: CodeStack) -> bool {
        let limits = self.edit().limits.to_vec();
        self.change(what, stack, limits)
    }

    /// Changes one code.
    ///
    /// # Errors
    /// The position is out of range.
    pub fn set_code(&mut self, [row, col]: [usize; 2], depth: usize, code: u32) -> Result<bool> {
        let mut stack = (**self.stack()).clone();
        stack.set(row, col, depth, code)?;
        // Users see depths numbered from 1, like the keys.
        let depth = depth + 1;
        Ok(self.change_codes(format!("code {code} at row {row}, column {col}, depth {depth}"), stack))
    }

    /// Replaces the selected cells' codes by those of `other`, which must have the same shape.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn take_selected(&mut self, other: &CodeStack) -> Result<bool> {
        let selected = self.selected.clone();
        self.take_cells("swap cells", &selected, other)
    }

    /// Replaces the codes of `cells`, row-major, by those of `other`, which must have the same shape.
    ///
    /// # Errors
    /// The shapes differ.
    pub fn take_cells(&mut self, what: &str, cells: &[bool], other: &CodeStack) -> Result<bool> {
        let stack = self.stack().with_cells(cells, other)?;
        Ok(self.change_codes(what, stack))
    }

    /// Limits the selected cells to their first `limit` codes.
    pub fn limit_selected(&mut self, limit: usize) -> bool {
        let (stack, limits) = ((**self.stack()).clone(), self.edit().limits.to_vec());
        let limit = limit.min(stack.depth());
        let cells = limits.into_iter().zip(&self.selected);
        let limits = cells.map(|(now, selected)| if *selected { limit } else { now }).collect();
        self.change(format!("{} per cell", counted(limit, "code")), stack, limits)
    }

    /// Restores the opened codes and depth limits of the selected cells, or of all cells if none are
    /// selected.
    pub fn reset_selected(&mut self) -> bool {
        let (opened, all) = (&self.edits[0], !self.has_selection());
        let reset: Vec<bool> = self.selected.iter().map(|&selected| all || selected).collect();
        let stack = self.stack().with_cells(&reset, &opened.stack).expect("all edits have one shape");
        let limits = self.edit().limits.iter().zip(opened.limits.iter()).zip(&reset);
        let limits = limits.map(|((&now, &then), &reset)| if reset { then } else { now }).collect();
        self.change("revert to opened", stack, limits)
    }

    /// Whether every cell uses all its codes.
    pub fn is_whole(&self) -> bool {
        self.edit().limits.iter().all(|&limit| limit == self.stack().depth())
    }

    /// Name of the edit that undo would revert.
    pub fn undoable(&self) -> Option<&str> {
        (self.now > 0).then(|| self.edit().what.as_str())
    }

    /// Name of the edit that redo would repeat.
    pub fn redoable(&self) -> Option<&str> {
        self.edits.get(self.now + 1).map(|edit| edit.what.as_str())
    }

    /// Reverts the last edit. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let undone = self.now > 0;
        self.now -= usize::from(undone);
        undone
    }

    /// Repeats the next edit. Returns whether there was one.
    pub fn redo(&mut self) -> bool {
        let redone = self.now + 1 < self.edits.len();
        self.now += usize::from(redone);
        redone
    }

    /// Whether any cell is selected.
    pub fn has_selection(&self) -> bool {
        self.selected.contains(&true)
    }

    /// For each code, whether resampling the selected cells keeps it.
    pub fn kept(&self) -> Vec<bool> {
        let depth = self.stack().depth();
        kept(&self.selected, depth, depth)
    }

    /// For each code, whether it is in the first `rows` rows of cells.
    pub fn first_rows(&self, rows: usize) -> Vec<bool> {
        let kept = rows * self.stack().w() * self.stack().depth();
        (0..self.stack().codes().len()).map(|place| place < kept).collect()
    }

    /// Moves the pin by rows and columns, up to the stack's edges; pins the first cell if none is pinned.
    pub fn move_pin(&mut self, rows: isize, columns: isize) {
        let (h, w) = (self.stack().h(), self.stack().w());
        let moved = |at: usize, by: isize, size: usize| at.saturating_add_signed(by).min(size - 1);
        self.pinned = Some(match self.pinned {
            Some([row, col]) => [moved(row, rows, h), moved(col, columns, w)],
            None => [0, 0],
        });
    }
}

/// The codes, `depth` for each cell, that stay if `cells` are resampled: all of the other cells, and of these all but the
/// `resampled` deepest.
pub fn kept(cells: &[bool], depth: usize, resampled: usize) -> Vec<bool> {
    cells.iter().flat_map(|&changes| (0..depth).map(move |d| !changes || d + resampled < depth)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let stack = CodeStack::new(2, 2, 2, (0..8).collect()).expect("whole");
        Document::new("test", Arc::new(stack), None, Condition::Unconditional)
    }

    #[test]
    fn edits_are_undone_and_redone() {
        let mut document = document();
        assert!(document.undoable().is_none() && !document.undo() && !document.redo());
        assert!(document.set_code([0, 1], 1, 9).expect("within"));
        assert!(!document.set_code([0, 1], 1, 9).expect("within"), "the code is the same");
        assert!(document.set_code([1, 1], 0, 8).expect("within"));
        assert!(document.set_code([2, 0], 0, 8).is_err());
        assert!(document.undo());
        assert_eq!(document.stack().codes(), [0, 1, 2, 9, 4, 5, 6, 7]);
        assert_eq!(document.redoable(), Some("code 8 at row 1, column 1, depth 1"));
        assert!(document.redo() && !document.redo());
        assert!(document.undo() && document.undo() && !document.undo());
        assert_eq!(document.stack(), document.opened());
        document.set_code([0, 0], 0, 5).expect("within");
        assert!(document.redoable().is_none(), "an edit clears the redo history");
    }

    #[test]
    fn operations_apply_to_selected_cells() {
        let mut document = document();
        document.selected = vec![true, false, false, true];
        assert_eq!(document.kept(), [false, false, true, true, true, true, false, false]);
        assert_eq!(kept(&[false, true], 3, 1), [true, true, true, true, true, false]);
        assert_eq!(document.first_rows(1), [true, true, true, true, false, false, false, false]);
        let other = CodeStack::new(2, 2, 2, vec![9; 8]).expect("whole");
        assert!(document.take_selected(&other).expect("same shape"));
        assert_eq!(document.stack().codes(), [9, 9, 2, 3, 4, 5, 9, 9]);
        assert!(document.limit_selected(1));
        assert_eq!(*document.edit().limits, [1, 2, 2, 1]);
        document.undo();
        assert_eq!(*document.edit().limits, [2; 4]);
        assert!(document.take_selected(&CodeStack::new(1, 1, 1, vec![0]).expect("whole")).is_err());
    }

    #[test]
    fn the_pin_stays_in_the_stack() {
        let mut document = document();
        document.move_pin(0, 1);
        assert_eq!(document.pinned, Some([0, 0]), "the first step pins");
        document.move_pin(-1, 5);
        assert_eq!(document.pinned, Some([0, 1]));
        document.move_pin(7, -1);
        assert_eq!(document.pinned, Some([1, 0]));
    }
}
