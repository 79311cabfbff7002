//! Codes that a new stack takes from another.

use crate::codes::CodeStack;

/// Codes that are given and not sampled.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Forced {
    /// The stack that they are taken from.
    pub stack: CodeStack,
    /// Which codes, row-major in (row, column, depth).
    pub keep: Vec<bool>,
}
