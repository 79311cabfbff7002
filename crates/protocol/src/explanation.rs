//! The explanation of a position in a stack: the codes that the transformer predicts there.

/// A code that the transformer predicts at a position.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Suggestion {
    /// The code.
    pub code: u32,
    /// Its probability, unfiltered.
    pub probability: f32,
}

/// The distribution at one position.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// The most likely codes, best first.
    pub suggestions: Vec<Suggestion>,
    /// Entropy of the whole distribution, in bits.
    pub entropy: f32,
    /// The code in the stack.
    pub chosen: Suggestion,
    /// Number of codes more likely than the chosen one.
    pub rank: usize,
}
