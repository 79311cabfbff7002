//! What is said of a place in a stack: which codes the transformer might have put there.

/// One code that the transformer might have put at a place.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Suggestion {
    /// The code.
    pub code: u32,
    /// Its probability, unfiltered.
    pub probability: f32,
}

/// The distribution at one place.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// The most likely codes, likeliest first.
    pub suggestions: Vec<Suggestion>,
    /// Entropy of the whole distribution, in bits.
    pub entropy: f32,
    /// The code that the stack has there.
    pub chosen: Suggestion,
    /// Codes that are likelier than the chosen one.
    pub rank: usize,
}
