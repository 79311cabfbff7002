//! `bpe16k_huggingface` and `bpe30k_huggingface`: the lower-casing `CharBPETokenizer` of Hugging Face's
//! `tokenizers`, set up as in the published code.
//!
//! That library uses the punctuation of Unicode 8, this module today's: the ids differ only for about 160
//! characters added since, none of which are in these vocabularies.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::assets::{Vocabulary, text};
use super::bpe::{Bpe, END_OF_WORD};
use residua_assets::BPE_MERGES;
use residua_core::error::{Error, Result};

/// Replaces characters that are not in the vocabulary.
const UNKNOWN: &str = "[UNK]";

/// Tokens that a caption may contain literally; they are matched first, and only in this case.
static SPECIAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[PAD\]|\[UNK\]").expect("a constant pattern"));

/// Characters that `BertNormalizer` drops: control and format characters, private use, and the replacement
/// character.
static DROPPED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{Cc}\p{Cf}\p{Co}\u{FFFD}--\t\n\r]+").expect("a constant pattern"));

/// A word of `BertPreTokenizer`: a single punctuation mark or ideograph, or a run without these and white
/// space.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    let alone = concat!(
        r"[:punct:]\p{P}",
        r"\u{3400}-\u{4DBF}\u{4E00}-\u{9FFF}\u{F900}-\u{FAFF}\u{20000}-\u{2A6DF}",
        r"\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}",
    );
    Regex::new(&format!(r"[{alone}]|[^\s{alone}]+")).expect("a constant pattern")
});

/// The tokenizer: symbols are characters, and merges stay within a word.
pub(super) struct CharBpe {
    bpe: Bpe,
    /// The symbol of each character within a word.
    inner: HashMap<char, u32>,
    /// The symbol of each character at the end of a word.
    last: HashMap<char, u32>,
    special: HashMap<String, u32>,
    unknown: u32,
}

impl CharBpe {
    /// Loads a vocabulary.
    pub(super) fn new(vocabulary: &Vocabulary) -> Result<Self> {
        let alphabet: Vec<String> = text(vocabulary.alphabet)?.lines().map(String::from).collect();
        let (mut inner, mut last, mut special) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (token, id) in alphabet.iter().zip(0..) {
            match (single(token), token.strip_suffix(END_OF_WORD).and_then(single)) {
                (Some(character), _) => inner.insert(character, id),
                (_, Some(character)) => last.insert(character, id),
                _ => special.insert(token.clone(), id),
            };
        }
        let unknown = *special
            .get(UNKNOWN)
            .ok_or_else(|| Error::invalid(format!("the vocabulary has no {UNKNOWN} token: rebuild")))?;
        let merges = text(BPE_MERGES)?;
        let bpe = Bpe::new(alphabet, merges.lines().take(vocabulary.merge_count))?;
        Ok(Self { bpe, inner, last, special, unknown })
    }

    /// The vocabulary.
    pub(super) fn bpe(&self) -> &Bpe {
        &self.bpe
    }

    /// The ids of a caption.
    pub(super) fn ids(&self, caption: &str) -> Vec<u32> {
        self.ids_dropping(caption, &mut || false)
    }

    /// Like [`Self::ids`], without the merges for which `leaves_out` returns true.
    pub(super) fn ids_dropping(&self, caption: &str, leaves_out: &mut dyn FnMut() -> bool) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = 0;
        for special in SPECIAL.find_iter(caption) {
            self.push_text(&caption[rest..special.start()], leaves_out, &mut ids);
            ids.extend(self.special.get(special.as_str()));
            rest = special.end();
        }
        self.push_text(&caption[rest..], leaves_out, &mut ids);
        ids
    }

    fn push_text(&self, text: &str, leaves_out: &mut dyn FnMut() -> bool, ids: &mut Vec<u32>) {
        // Character by character: lower-casing the whole string would turn a final sigma into its special
        // form.
        let text: String = DROPPED.replace_all(text, "").chars().flat_map(char::to_lowercase).collect();
        for word in WORD.find_iter(&text) {
            self.bpe.merge_dropping(self.symbols(word.as_str()), leaves_out, ids);
        }
    }

    fn symbols(&self, word: &str) -> Vec<u32> {
        let end = word.chars().count();
        let symbol = |(character, place)| {
            let symbols = if place == end { &self.last } else { &self.inner };
            symbols.get(&character).copied().unwrap_or(self.unknown)
        };
        word.chars().zip(1..).map(symbol).collect()
    }
}

/// The only character of a text.
fn single(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}
