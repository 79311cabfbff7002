//! The gzipped vocabulary files; see `assets/tokenizers/README.md` for their sources.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::assets::open;
use residua_assets::{Asset, BPE_16K_ALPHABET, BPE_30K_ALPHABET};
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

/// A vocabulary of which the merges are the first lines of `BPE_MERGES`, in the order of their ids.
pub(super) struct Vocabulary {
    /// The tokens that no merge produces, one per line.
    pub(super) alphabet: Asset,
    /// The number of merges.
    pub(super) merge_count: usize,
}

/// `bpe16k_huggingface`.
pub(super) static BPE_16K: Vocabulary = Vocabulary { alphabet: BPE_16K_ALPHABET, merge_count: 14_425 };

/// `bpe30k_huggingface`.
pub(super) static BPE_30K: Vocabulary = Vocabulary { alphabet: BPE_30K_ALPHABET, merge_count: 28_041 };

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
