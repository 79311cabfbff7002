//! What the models have found out about codes.

use std::sync::Arc;

use crate::app::captions::Captions;
use crate::app::choices::Choices;
use crate::app::patches::Patches;
use residua_metrics::Usage;
use residua_protocol::Neighbours;
use residua_protocol::explanation::Explanation;

/// What the loaded models have computed so far. Loading other models resets it.
#[derive(Default)]
pub struct Found {
    /// Codes near the pinned one.
    pub neighbours: Option<Arc<Neighbours>>,
    /// The transformer's distribution at a position (row, column, depth).
    pub explained: Option<([usize; 3], Arc<Explanation>)>,
    /// Previews of alternative codes at the pinned position.
    pub choices: Choices,
    /// The code that is looked up in the codebook.
    pub browsed: Option<Browsed>,
    /// Pictures of single codes.
    pub patches: Patches,
    /// How the tokenizer reads the captions on screen.
    pub(super) captions: Captions,
    /// Code usage of the stacks opened or sampled in this session.
    pub session_usage: Option<Usage>,
    /// Code usage of a folder's pictures.
    pub folder_usage: Option<Arc<Usage>>,
}

/// A code that the user looks up in the codebook.
pub struct Browsed {
    /// Its depth, from 0.
    pub depth: usize,
    /// Its number.
    pub code: u32,
    /// The codes near it, once known.
    pub neighbours: Option<Arc<Neighbours>>,
}
