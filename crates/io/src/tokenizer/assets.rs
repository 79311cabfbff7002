//! The gzipped vocabulary files; see `assets/tokenizers/README.md` for their sources.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::assets::open;
use residua_assets::{
    Asset, BPE_16K_ALPHABET, BPE_30K_ALPHABET, BPE_EMOJI_ALPHABET, BPE_EMOJI_MERGES, BPE_MERGES,
};
use residua_core::error::{Error, Result};

/// The whole text of a file.
pub(super) fn text(asset: Asset) -> Result<String> {
    let bytes = open(asset)?;
    unpacked(asset.path, &bytes.read_at(0, bytes.len())?)
}

fn unpacked(name: &str, gzip: &[u8]) -> Result<String> {
    let mut text = String::new();
    GzDecoder::new(gzip)
        .read_to_string(&mut text)
        .map_err(|error| Error::invalid(format!("cannot decompress {name} ({error}): reinstall Residua")))?;
    Ok(text)
}

/// The files of a vocabulary: the tokens that no merge produces, one per line, and the merges, one per line,
/// in the order of their ids.
pub(super) struct Vocabulary {
    pub(super) alphabet: Asset,
    pub(super) merges: Asset,
    /// How many lines of `merges` belong to the vocabulary.
    pub(super) merge_count: usize,
}

/// `bpe1k_emoji`.
pub(super) static BPE_EMOJI: Vocabulary =
    Vocabulary { alphabet: BPE_EMOJI_ALPHABET, merges: BPE_EMOJI_MERGES, merge_count: 927 };

/// `bpe16k_huggingface`: its merges are the first ones of `bpe30k_huggingface`.
pub(super) static BPE_16K: Vocabulary =
    Vocabulary { alphabet: BPE_16K_ALPHABET, merges: BPE_MERGES, merge_count: 14_425 };

/// `bpe30k_huggingface`.
pub(super) static BPE_30K: Vocabulary =
    Vocabulary { alphabet: BPE_30K_ALPHABET, merges: BPE_MERGES, merge_count: 28_041 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let whole = open(residua_assets::CLIP_MERGES).unwrap();
        let damaged = whole.read_at(0, 1000).unwrap();
        assert!(unpacked("some.txt.gz", &damaged).unwrap_err().to_string().contains("some.txt.gz"));
    }
}
