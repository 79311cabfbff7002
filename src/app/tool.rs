//! The tools of the picture.

/// What the pointer does to the picture's cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Pins a cell.
    #[default]
    Pin,
    /// Selects the cells it passes.
    Brush,
    /// Selects a rectangle of cells.
    Rectangle,
    /// Resamples the cells it passes.
    Revise,
}
