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
