//! Converts captions to token ids: the three tokenizers of the published text-conditional models, and one with
//! words that the configuration lists.
//!
//! * `kind`: their names in configurations.
//! * `assets`: the vocabulary files.
//! * `bpe`: vocabulary and merging, shared by all of them.
//! * `huggingface`: how `bpe16k_huggingface` and `bpe30k_huggingface` split a caption into symbols.
//! * `clip`: the same for `simple`, the tokenizer of OpenAI's CLIP; it first repairs the text (`fix_text`)
//!   and decodes HTML references (`html`).
//! * `words`: the tokenizer `words`.

mod assets;
mod bpe;
mod clip;
mod fix_text;
mod html;
mod huggingface;
mod kind;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use residua_core::error::Result;

use clip::Clip;
use huggingface::CharBpe;
pub use kind::TokenizerKind;
use words::Words;

/// The id that pads a caption to the context length: `[PAD]` in the Hugging Face tokenizers, and what the
/// published code writes after the end token of `simple`.
const PAD: u32 = 0;

/// Converts captions to ids; the published tokenizers match the published code exactly.
#[derive(Clone)]
pub struct Tokenizer {
    kind: TokenizerKind,
    scheme: Arc<Scheme>,
}

/// The tokenizers that were loaded so far, each with its configuration's words: indexing a vocabulary takes up to tens
/// of milliseconds.
static LOADED: Mutex<Vec<(Tokenizer, Vec<String>)>> = Mutex::new(Vec::new());

enum Scheme {
    CharBpe(CharBpe),
    Clip(Clip),
    Words(Words),
}

impl Tokenizer {
    /// Loads and indexes the vocabulary, if this is its first tokenizer. `words` is the vocabulary of
    /// [`TokenizerKind::Words`]; the others ignore it.
    ///
    /// # Errors
    /// [`Error::Invalid`](residua_core::error::Error::Invalid) if a vocabulary is damaged, or the page has not fetched it.
    pub fn new(kind: TokenizerKind, words: &[String]) -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let words = if kind == TokenizerKind::Words { words } else { &[] };
        if let Some((known, _)) = loaded.iter().find(|(known, own)| known.kind == kind && own == words) {
            return Ok(known.clone());
        }
        let scheme = Arc::new(match kind {
            TokenizerKind::Bpe16kHuggingface => Scheme::CharBpe(CharBpe::new(&assets::BPE_16K)?),
            TokenizerKind::Bpe30kHuggingface => Scheme::CharBpe(CharBpe::new(&assets::BPE_30K)?),
            TokenizerKind::Simple => Scheme::Clip(Clip::new()?),
            TokenizerKind::Words => Scheme::Words(Words::new(words)),
        });
        let tokenizer = Self { kind, scheme };
        loaded.push((tokenizer.clone(), words.to_vec()));
        Ok(tokenizer)
    }

    /// Which tokenizer this is.
    pub fn kind(&self) -> TokenizerKind {
        self.kind
    }

    /// The ids of the caption alone: no start or end token, no padding, no truncation.
    pub fn ids(&self, caption: &str) -> Vec<u32> {
        match &*self.scheme {
            Scheme::CharBpe(char_bpe) => char_bpe.ids(caption),
            Scheme::Clip(clip) => clip.ids(caption),
            Scheme::Words(words) => words.ids(caption),
        }
    }

    /// How many ids a model needs for all of `caption`: with the start and end tokens of `simple`, without padding.
    pub fn length(&self, caption: &str) -> usize {
        let around = if let Scheme::Clip(_) = &*self.scheme { 2 } else { 0 };
        self.ids(caption).len() + around
    }

    /// The words of `caption` that have no ids and are dropped; only `words` drops any.
    pub fn unknown(&self, caption: &str) -> Vec<String> {
        match &*self.scheme {
            Scheme::CharBpe(_) | Scheme::Clip(_) => Vec::new(),
            Scheme::Words(words) => words.unknown(caption),
        }
    }

    /// Exactly `context_length` ids, as the model takes them: padded with 0 or truncated.
    ///
    /// `simple` adds its start and end tokens, and keeps both when truncating. For `simple`, the published
    /// code takes a random part of a long caption; here the end is always cut off, so that a caption has only
    /// one encoding.
    pub fn encode(&self, caption: &str, context_length: usize) -> Vec<u32> {
        self.encode_dropping(caption, context_length, &mut || false)
    }

    /// Like [`Self::encode`], skipping each merge for which `leaves_out` returns true; it is called once per
    /// merge, in order. As published, `simple` has no BPE dropout; `words` has no merges. (BPE dropout:
    /// Provilkov, Emelianenko, Voita, arXiv 1910.13267.)
    pub fn encode_dropping(
        &self,
        caption: &str,
        context_length: usize,
        leaves_out: &mut dyn FnMut() -> bool,
    ) -> Vec<u32> {
        let mut ids = match &*self.scheme {
            Scheme::CharBpe(char_bpe) => char_bpe.ids_dropping(caption, leaves_out),
            Scheme::Clip(_) | Scheme::Words(_) => self.ids(caption),
        };
        if let Scheme::Clip(clip) = &*self.scheme {
            ids.truncate(context_length.saturating_sub(2));
            ids.insert(0, clip.start());
            ids.push(clip.end());
        }
        ids.resize(context_length, PAD);
        ids
    }

    /// The number of ids: all ids are below this.
    pub fn vocab_size(&self) -> usize {
        match &*self.scheme {
            Scheme::CharBpe(char_bpe) => char_bpe.bpe().len(),
            Scheme::Clip(clip) => clip.bpe().len(),
            Scheme::Words(words) => words.len(),
        }
    }

    /// The token as the vocabulary spells it, for display; `None` if `id` is not below [`Self::vocab_size`].
    ///
    /// `</w>` marks the end of a word. `simple` represents each byte by a printable character.
    pub fn token(&self, id: u32) -> Option<&str> {
        match &*self.scheme {
            Scheme::CharBpe(char_bpe) => char_bpe.bpe().token(id),
            Scheme::Clip(clip) => clip.bpe().token(id),
            Scheme::Words(words) => words.token(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::{collection, sample};
    use serde_json::Value;

    use super::*;

    fn fixture(name: &str) -> Value {
        let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tokenizers/{}"), name);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn ids(value: &Value) -> Vec<u32> {
        value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    }

    static ALL: LazyLock<[Tokenizer; 4]> = LazyLock::new(|| {
        let words = ["a", "red", "cat"].map(String::from);
        TokenizerKind::ALL.map(|kind| Tokenizer::new(kind, &words).unwrap())
    });

    fn published() -> &'static [Tokenizer] {
        &ALL[..3]
    }

    #[test]
    fn a_vocabulary_is_indexed_only_once() {
        let [own, others] = [vec!["a", "red", "cat"], vec!["blue"]];
        for (words, is_own) in [(own, true), (others, false)] {
            let words: Vec<String> = words.into_iter().map(String::from).collect();
            for (first, kind) in ALL.iter().zip(TokenizerKind::ALL) {
                let again = Tokenizer::new(kind, &words).unwrap();
                // The words are those of a configuration, so each model has its own.
                let is_same = is_own || kind != TokenizerKind::Words;
                assert_eq!(Arc::ptr_eq(&first.scheme, &again.scheme), is_same, "{kind}");
            }
        }
    }

    #[test]
    fn vocabularies_have_the_published_sizes() {
        assert_eq!(ALL.each_ref().map(Tokenizer::vocab_size), [16_384, 30_000, 49_408, 4]);
        for tokenizer in &*ALL {
            assert_eq!(tokenizer.token(tokenizer.vocab_size() as u32), None);
        }
    }

    #[test]
    fn captions_get_the_ids_of_the_published_code() {
        let golden = fixture("golden.json");
        let captions = golden["captions"].as_array().unwrap();
        for tokenizer in published() {
            let expected = &golden["tokenizers"][tokenizer.kind().name()];
            for (caption, row) in captions.iter().zip(expected["ids"].as_array().unwrap()) {
                let caption = caption.as_str().unwrap();
                let found = match expected["context_length"].as_u64() {
                    Some(length) => tokenizer.encode(caption, length as usize),
                    None => tokenizer.ids(caption),
                };
                assert_eq!(found, ids(row), "{} {caption:?}", tokenizer.kind());
            }
        }
    }

    #[test]
    fn tokens_are_spelt_as_published() {
        let golden = fixture("golden.json");
        for tokenizer in &published()[..2] {
            let expected = &golden["tokenizers"][tokenizer.kind().name()];
            for (row, tokens) in
                expected["ids"].as_array().unwrap().iter().zip(expected["tokens"].as_array().unwrap())
            {
                for (id, token) in ids(row).into_iter().zip(tokens.as_array().unwrap()) {
                    assert_eq!(tokenizer.token(id), token.as_str());
                }
            }
        }
        let simple = &published()[2];
        assert_eq!(
            [320, 49_406, 49_407].map(|id| simple.token(id).unwrap()),
            ["a</w>", "<|startoftext|>", "<|endoftext|>"]
        );
    }

    /// `captions.json`: random mixtures of words, marks, references and characters from many scripts, with
    /// the ids of `tokenizers` 0.23.3 and of CLIP's algorithm with ftfy 6.3.1 (mojibake repair off) in Python
    /// 3.11.
    #[test]
    fn invented_captions_get_the_ids_of_the_python_libraries() {
        let captions = fixture("captions.json");
        for tokenizer in published() {
            for caption in captions.as_array().unwrap() {
                let text = caption["caption"].as_str().unwrap();
                assert_eq!(
                    tokenizer.ids(text),
                    ids(&caption[tokenizer.kind().name()]),
                    "{} {text:?}",
                    tokenizer.kind()
                );
            }
        }
    }

    #[test]
    fn captions_are_truncated_and_the_end_token_kept() {
        let [bpe16k, _, simple, _] = &*ALL;
        let caption = "a painting by Vincent Van Gogh";
        assert_eq!(bpe16k.encode(caption, 3), [1022, 2690, 2046]);
        assert_eq!(simple.encode(caption, 5), [49_406, 320, 3086, 638, 49_407]);
        assert_eq!(simple.encode("a", 5), [49_406, 320, 49_407, 0, 0]);
        assert_eq!(simple.encode("a", 2), [49_406, 49_407]);
        assert!(simple.encode("a", 0).is_empty());
        for tokenizer in [bpe16k, simple] {
            let padded = tokenizer.encode(caption, 64);
            assert_eq!(tokenizer.length(caption), padded.iter().filter(|&&id| id != PAD).count());
        }
    }

    /// Each of these would take minutes if the time were quadratic in the length.
    #[test]
    fn long_captions_do_not_take_quadratic_time() {
        for (unit, count) in
            [("x", 300_000), ("é😀", 100_000), ("&amp", 100_000), ("&#", 100_000), ("'s ", 100_000)]
        {
            let caption = unit.repeat(count);
            for tokenizer in &*ALL {
                let ids = tokenizer.ids(&caption);
                assert!(!ids.is_empty() || tokenizer.kind() == TokenizerKind::Words);
            }
        }
        // Each round of repair removes one level of escaping.
        let nested = format!("&{}é", "amp;".repeat(2_500));
        let simple = &published()[2];
        assert_eq!(simple.ids(&nested), simple.ids("&é"));
    }

    /// Any character, or a fragment that some rule matches.
    fn fragment() -> impl Strategy<Value = String> {
        const LOOKED_FOR: &[&str] = &[
            "&amp;",
            "&#x",
            "&#",
            "9;",
            "é",
            "ﬁ",
            "'S",
            "[PAD]",
            "<|endoftext|>",
            "</w>",
            "\u{1B}[",
            "m",
            "<",
            "\n",
            "漢",
            "x",
        ];
        prop_oneof![any::<char>().prop_map(String::from), sample::select(LOOKED_FOR).prop_map(String::from)]
    }

    proptest! {
        #[test]
        fn any_caption_fits_the_model(fragments in collection::vec(fragment(), 0..200), context_length in 0_usize..80) {
            let caption = fragments.concat();
            for tokenizer in &*ALL {
                let ids = tokenizer.encode(&caption, context_length);
                prop_assert_eq!(ids.len(), context_length);
                prop_assert!(ids.iter().chain(&tokenizer.ids(&caption)).all(|&id| tokenizer.token(id).is_some()));
            }
        }
    }
}
