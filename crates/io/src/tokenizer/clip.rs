//! `simple`: the `SimpleTokenizer` of OpenAI's CLIP, byte pair encoding over bytes.

use std::sync::LazyLock;

use regex::Regex;

use super::assets::text;
use super::bpe::{Bpe, END_OF_WORD};
use super::fix_text::fix_text;
use super::html::Entities;
use residua_assets::CLIP_MERGES;
use residua_core::error::Result;

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// A word: a special token, an English contraction, a run of letters, one digit, or a run of other marks.
/// U+0345, a mark that becomes a letter under case folding, matches none of these in Python's `regex`, so it
/// is dropped.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i:<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}\u{345}]+",
    )
    .expect("a constant pattern")
});

/// The bytes that represent themselves in the vocabulary, in the order of their ids; the others follow.
const PRINTABLE: [std::ops::RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xA1..=0xAC, 0xAE..=0xFF];

/// The tokenizer: symbols are bytes, and merges stay within a word.
pub(super) struct Clip {
    bpe: Bpe,
    /// The symbol of each byte within a word; at the end of a word it is 256 higher.
    symbols: Box<[u32; 256]>,
    start: u32,
    end: u32,
    entities: Entities,
}

impl Clip {
    /// Loads the vocabulary.
    pub(super) fn new() -> Result<Self> {
        let bytes = bytes_in_vocabulary_order();
        let mut symbols = Box::new([0; 256]);
        for (&byte, id) in bytes.iter().zip(0..) {
            symbols[usize::from(byte)] = id;
        }
        let within = spellings(&bytes);
        let at_end: Vec<String> = within.iter().map(|token| [token, END_OF_WORD].concat()).collect();
        let mut bpe = Bpe::new([within, at_end].concat(), text(CLIP_MERGES)?.lines())?;
        let (start, end) = (bpe.add(START), bpe.add(END));
        Ok(Self { bpe, symbols, start, end, entities: Entities::new()? })
    }

    /// The vocabulary.
    pub(super) fn bpe(&self) -> &Bpe {
        &self.bpe
    }

    /// The token before every caption.
    pub(super) fn start(&self) -> u32 {
        self.start
    }

    /// The token after every caption.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// The ids of a caption.
    pub(super) fn ids(&self, caption: &str) -> Vec<u32> {
        let text = fix_text(caption, &self.entities);
        // Twice, as in CLIP: captions from the web are often escaped twice.
        let text = self.entities.unescape(&self.entities.unescape(&text)).to_lowercase();
        let mut ids = Vec::new();
        for word in WORD.find_iter(&text) {
            match word.as_str() {
                START => ids.push(self.start),
                END => ids.push(self.end),
                word => self.bpe.merge(self.symbols(word), &mut ids),
            }
        }
        ids
    }

    fn symbols(&self, word: &str) -> Vec<u32> {
        let mut symbols: Vec<u32> = word.bytes().map(|byte| self.symbols[usize::from(byte)]).collect();
        if let Some(last) = symbols.last_mut() {
            *last += 256;
        }
        symbols
    }
}

/// All bytes, printable ones first.
fn bytes_in_vocabulary_order() -> Vec<u8> {
    let (mut bytes, others): (Vec<u8>, Vec<u8>) = (0..=u8::MAX).partition(is_printable);
    bytes.extend(others);
    bytes
}

/// How the vocabulary spells bytes: printable ones as Latin-1 characters, the others as characters from
/// U+0100 on.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let mut stand_ins = '\u{100}'..;
    let spelling = |byte| if is_printable(byte) { Some(char::from(*byte)) } else { stand_ins.next() };
    bytes.iter().filter_map(spelling).map(String::from).collect()
}

fn is_printable(byte: &u8) -> bool {
    PRINTABLE.iter().any(|range| range.contains(byte))
}
