//! The vocabulary files, compiled in and gzipped; `assets/tokenizers/README.md` says where they come from.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::error::{Error, Result};

/// A compiled-in text file.
pub(super) struct Asset {
    name: &'static str,
    gzip: &'static [u8],
}

macro_rules! asset {
    ($name:literal) => {
        Asset {
            name: $name,
            gzip: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tokenizers/", $name)),
        }
    };
}

impl Asset {
    /// The whole text.
    pub(super) fn text(&self) -> Result<String> {
        let mut text = String::new();
        GzDecoder::new(self.gzip).read_to_string(&mut text).map_err(|error| {
            Error::invalid(format!("the compiled-in {} does not unpack ({error}): rebuild", self.name))
        })?;
        Ok(text)
    }
}

/// What makes a vocabulary: the tokens that no merge makes, one a line, then merges, one a line, in the order of
/// their ids.
pub(super) struct Vocabulary {
    pub(super) alphabet: Asset,
    pub(super) merges: Asset,
    /// How many lines of `merges` belong to the vocabulary.
    pub(super) merge_count: usize,
}

/// `bpe16k_huggingface`: its merges are the first of those of `bpe30k_huggingface`.
pub(super) static BPE_16K: Vocabulary = Vocabulary {
    alphabet: asset!("bpe-16k-alphabet.txt.gz"),
    merges: asset!("bpe-merges.txt.gz"),
    merge_count: 14_425,
};

/// `bpe30k_huggingface`.
pub(super) static BPE_30K: Vocabulary = Vocabulary {
    alphabet: asset!("bpe-30k-alphabet.txt.gz"),
    merges: asset!("bpe-merges.txt.gz"),
    merge_count: 28_041,
};

/// `simple`: merges over the 256 bytes, one a line, in the order of their ids.
pub(super) static CLIP_MERGES: Asset = asset!("clip-merges.txt.gz");

/// The named character references of HTML: a JSON object from name (with its semicolon, if it has one) to text.
pub(super) static HTML_ENTITIES: Asset = asset!("html-entities.json.gz");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let damaged = Asset { name: "some.txt.gz", gzip: &CLIP_MERGES.gzip[..1000] };
        assert!(damaged.text().unwrap_err().to_string().contains("some.txt.gz"));
    }
}
