//! The tokenizers by their names in configurations, and the vocabulary files of each.

use std::fmt::{self, Display};
use std::str::FromStr;

use residua_assets::{Asset, BPE_16K_ALPHABET, BPE_30K_ALPHABET, BPE_MERGES, CLIP_MERGES, HTML_ENTITIES};
use residua_core::config::WORDS;
use residua_core::error::{Error, Result};

/// A tokenizer; its text form is the value of `txt_tok_name` in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerKind {
    /// `bpe16k_huggingface`: 16,384 tokens.
    Bpe16kHuggingface,
    /// `bpe30k_huggingface`: 30,000 tokens.
    Bpe30kHuggingface,
    /// `simple`: 49,408 tokens.
    Simple,
    /// `words`: the words in `dataset.words`.
    Words,
}

impl TokenizerKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Bpe16kHuggingface, Self::Bpe30kHuggingface, Self::Simple, Self::Words];

    /// The name that configurations use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpe16kHuggingface => "bpe16k_huggingface",
            Self::Bpe30kHuggingface => "bpe30k_huggingface",
            Self::Simple => "simple",
            Self::Words => WORDS,
        }
    }

    /// The vocabulary files it needs.
    pub const fn files(self) -> &'static [Asset] {
        match self {
            Self::Bpe16kHuggingface => &[BPE_16K_ALPHABET, BPE_MERGES],
            Self::Bpe30kHuggingface => &[BPE_30K_ALPHABET, BPE_MERGES],
            Self::Simple => &[CLIP_MERGES, HTML_ENTITIES],
            Self::Words => &[],
        }
    }
}

impl Display for TokenizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TokenizerKind {
    type Err = Error;

    /// Parses a configuration's `txt_tok_name`; any other text is [`Error::Invalid`].
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("unknown tokenizer {name:?}: txt_tok_name must be one of {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_the_configurations() {
        for kind in TokenizerKind::ALL {
            assert_eq!(kind.to_string().parse::<TokenizerKind>().unwrap(), kind);
        }
        let error = "bert_huggingface".parse::<TokenizerKind>().unwrap_err().to_string();
        assert!(TokenizerKind::ALL.iter().all(|kind| error.contains(kind.name())), "{error}");
    }
}
