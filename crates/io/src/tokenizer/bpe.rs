//! Byte pair encoding: a vocabulary whose later tokens each join two earlier ones, and merging within a word.
//!
//! Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", arXiv
//! 1508.07909.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use residua_core::error::{Error, Result};

/// Ends the last symbol of a word.
pub(super) const END_OF_WORD: &str = "</w>";

/// Tokens by id, and the merges of pairs of ids.
pub(super) struct Bpe {
    tokens: Vec<String>,
    merges: HashMap<(u32, u32), u32>,
}

impl Bpe {
    /// The vocabulary of `alphabet`, followed by the results of `merges`, each a line `left right`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a line does not consist of two earlier tokens.
    pub(super) fn new<'a>(alphabet: Vec<String>, merges: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut tokens = alphabet;
        let mut ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
        let mut pairs = HashMap::new();
        for (line, id) in merges.zip(tokens.len() as u32..) {
            let (left, right, pair) = line
                .split_once(' ')
                .and_then(|(left, right)| Some((left, right, (*ids.get(left)?, *ids.get(right)?))))
                .ok_or_else(|| {
                    Error::invalid(format!("a merge must name two known tokens, found {line:?}: rebuild"))
                })?;
            let token = [left, right].concat();
            pairs.insert(pair, id);
            ids.insert(token.clone(), id);
            tokens.push(token);
        }
        Ok(Self { tokens, merges: pairs })
    }

    /// Adds a token that takes no part in merges, and returns its id.
    pub(super) fn add(&mut self, token: &str) -> u32 {
        self.tokens.push(token.to_owned());
        self.tokens.len() as u32 - 1
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token with this id.
    pub(super) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// Merges a word's symbols until no pair can be merged, always the pair with the lowest id first and the
    /// leftmost of equal ones, and appends the result to `ids`. Takes `O(n log n)` for a word of length `n`.
    pub(super) fn merge(&self, word: Vec<u32>, ids: &mut Vec<u32>) {
        self.merge_dropping(word, &mut || false, ids);
    }

    /// Like [`Self::merge`], but a pair for which `leaves_out` returns true waits until another pair has
    /// merged, as in Hugging Face's library; once no pair is left to merge, it stays unmerged.
    pub(super) fn merge_dropping(
        &self,
        word: Vec<u32>,
        leaves_out: &mut dyn FnMut() -> bool,
        ids: &mut Vec<u32>,
    ) {
        let mut chain = Chain::new(word);
        let joined = |chain: &Chain, at| chain.pair(at).and_then(|pair| self.merges.get(&pair).copied());
        let mut candidates: BinaryHeap<_> =
            (0..chain.ids.len()).filter_map(|at| Some(Reverse((joined(&chain, at)?, at)))).collect();
        let mut waiting = Vec::new();
        while let Some(Reverse((id, at))) = candidates.pop() {
            if leaves_out() {
                waiting.push(Reverse((id, at)));
                continue;
            }
            candidates.extend(waiting.drain(..));
            // Either symbol may have merged with another since: only this very pair gives `id`.
            if joined(&chain, at) == Some(id) {
                chain.join(at, id);
                let neighbours = [chain.previous[at], at].into_iter();
                candidates.extend(neighbours.filter_map(|at| Some(Reverse((joined(&chain, at)?, at)))));
            }
        }
        ids.extend(chain.ids.into_iter().filter(|&id| id != Chain::GONE));
    }
}

/// A word being merged: a symbol at each position still in use, linked to its neighbours. Links past either
/// end are out of bounds.
struct Chain {
    ids: Vec<u32>,
    previous: Vec<usize>,
    next: Vec<usize>,
}

impl Chain {
    /// Marks a position whose symbol was merged into the one on its left: no merge has this id.
    const GONE: u32 = u32::MAX;

    fn new(ids: Vec<u32>) -> Self {
        let length = ids.len();
        let previous = (0..length).map(|at| at.wrapping_sub(1)).collect();
        Self { ids, previous, next: (1..=length).collect() }
    }

    /// The symbol at a position and its right neighbour.
    fn pair(&self, at: usize) -> Option<(u32, u32)> {
        Some((*self.ids.get(at)?, *self.ids.get(*self.next.get(at)?)?))
    }

    /// Replaces the pair at a position by `id`.
    fn join(&mut self, at: usize, id: u32) {
        let gone = self.next[at];
        self.ids[at] = id;
        self.ids[gone] = Self::GONE;
        self.next[at] = self.next[gone];
        if let Some(previous) = self.previous.get_mut(self.next[at]) {
            *previous = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(bpe: &Bpe, word: &[u32]) -> Vec<u32> {
        let mut ids = Vec::new();
        bpe.merge(word.to_vec(), &mut ids);
        ids
    }

    #[test]
    fn the_lowest_id_merges_first_and_then_the_leftmost() {
        let alphabet = ["a", "b", "c"].map(String::from).to_vec();
        let bpe = Bpe::new(alphabet, ["b c", "a a", "aa bc", "a b"].into_iter()).unwrap();
        assert!(merged(&bpe, &[]).is_empty());
        assert_eq!(merged(&bpe, &[0, 1]), [6]);
        assert_eq!(merged(&bpe, &[0, 1, 2]), [0, 3]);
        assert_eq!(merged(&bpe, &[0, 0, 0]), [4, 0]);
        assert_eq!(merged(&bpe, &[0, 0, 1, 2, 0, 1]), [5, 6]);
        assert_eq!(bpe.token(5), Some("aabc"));
        assert_eq!(bpe.token(7), None);
    }

    /// `leaves_out` is asked in the order of `merge_all` in `tokenizers` 0.13.
    #[test]
    fn dropped_merges_wait_for_another() {
        let alphabet = ["a", "b", "c"].map(String::from).to_vec();
        let bpe = Bpe::new(alphabet, ["b c", "a a", "aa bc", "a b"].into_iter()).unwrap();
        let dropped = |word: &[u32], answers: &[bool]| {
            let (mut ids, mut answers) = (Vec::new(), answers.iter().copied());
            bpe.merge_dropping(word.to_vec(), &mut || answers.next().unwrap_or(false), &mut ids);
            ids
        };
        assert_eq!(dropped(&[0, 0, 1, 2], &[]), [5]);
        // "b c" waits while "a a" merges, and merges afterwards.
        assert_eq!(dropped(&[0, 0, 1, 2], &[true]), [5]);
        // "b c" and "a a" wait while "a b" merges, which consumes a part of both.
        assert_eq!(dropped(&[0, 0, 1, 2], &[true, true]), [0, 6, 2]);
        assert_eq!(dropped(&[0, 0, 1, 2], &[true; 3]), [0, 0, 1, 2]);
    }

    #[test]
    fn a_damaged_merge_is_an_error() {
        for line in ["a", "a x", "x a", ""] {
            assert!(matches!(Bpe::new(vec!["a".to_owned()], [line].into_iter()), Err(Error::Invalid(_))));
        }
    }
}
