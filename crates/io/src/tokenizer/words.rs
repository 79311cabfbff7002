//! `words`: a vocabulary of whole words, listed in the configuration.

use std::collections::HashMap;

use residua_core::text::composed;

/// A list of words; the id of each is its position, from 1.
pub struct Words {
    /// Tokens by id, starting with the padding token.
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Words {
    /// A vocabulary of `words`, ignoring case; the first of equal words counts.
    pub fn new(words: &[String]) -> Self {
        let words = words.iter().map(|word| composed(word).to_lowercase());
        let tokens: Vec<String> = std::iter::once("[PAD]".into()).chain(words).collect();
        let last_first = tokens.iter().enumerate().skip(1).rev();
        let ids = last_first.map(|(id, word)| (word.clone(), id as u32)).collect();
        Self { tokens, ids }
    }

    /// The ids of the known words in `caption`.
    pub fn ids(&self, caption: &str) -> Vec<u32> {
        words(caption).filter_map(|word| self.ids.get(&word).copied()).collect()
    }

    /// The unknown words in `caption`.
    pub fn unknown(&self, caption: &str) -> Vec<String> {
        words(caption).filter(|word| !self.ids.contains_key(word)).collect()
    }

    /// The number of ids: all ids are below this.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The word with this id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }
}

/// The words of `text`: runs of letters and digits, in lower case and composed form. In a decomposed letter, the mark
/// is neither letter nor digit, and would end the word.
fn words(text: &str) -> impl Iterator<Item = String> {
    let text = composed(text);
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_split_into_known_words() {
        let words = Words::new(&["A", "red", "cat", "red", "Über"].map(String::from));
        assert_eq!(words.ids("a Red-cat, über; a DRAGON"), [1, 2, 3, 5, 1]);
        assert_eq!(words.unknown("a Red-cat, über; a DRAGON"), ["dragon"]);
        assert_eq!(words.ids("U\u{308}BER cat"), [5, 3]);
        assert_eq!(Words::new(&["u\u{308}ber".into()]).ids("über"), [1]);
        assert_eq!(
            (words.len(), words.token(0), words.token(2), words.token(6)),
            (6, Some("[PAD]"), Some("red"), None)
        );
        assert!(words.ids(" -,.\n").is_empty() && words.unknown("").is_empty());
    }
}
