//! Files bundled with Residua: compiled into the program, or fetched by the page on demand in a browser.

pub mod bundled;

#[cfg(target_family = "wasm")]
use std::path::Path;

use residua_core::error::Result;
use residua_core::files::bytes::ByteSource;

/// A bundled file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path below `assets`.
    pub path: &'static str,
    #[cfg(not(target_family = "wasm"))]
    bytes: &'static [u8],
}

/// The bytes of a file below `assets`.
#[cfg(not(target_family = "wasm"))]
macro_rules! bytes {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/", $path))
    };
}

/// Defines a constant for each file below `assets`. Its bytes are a static, or every crate that names it would have a copy.
macro_rules! assets {
    ($($name:ident = $path:literal;)*) => {
        $(
            #[doc = $path]
            pub const $name: Asset = Asset {
                path: $path,
                #[cfg(not(target_family = "wasm"))]
                bytes: {
                    static BYTES: [u8; bytes!($path).len()] = *bytes!($path);
                    &BYTES
                },
            };
        )*
    };
}

assets! {
    CHARACTERS_128_STAGE_1 = "characters-128/stage1.safetensors";
    CHARACTERS_128_CONTEXTUAL = "characters-128/contextual.safetensors";
    EMOJI_64_STAGE_1 = "emoji-64/stage1.safetensors";
    EMOJI_64_STAGE_2 = "emoji-64/stage2.safetensors";
    EMOJI_64_STAGE_2_CAPTIONS = "emoji-64/stage2-captions.safetensors";
    SAMPLE = "samples/red-cat.png";
    BPE_16K_ALPHABET = "tokenizers/bpe-16k-alphabet.txt.gz";
    BPE_30K_ALPHABET = "tokenizers/bpe-30k-alphabet.txt.gz";
    BPE_EMOJI_ALPHABET = "tokenizers/bpe-emoji-alphabet.txt.gz";
    BPE_EMOJI_MERGES = "tokenizers/bpe-emoji-merges.txt.gz";
    BPE_MERGES = "tokenizers/bpe-merges.txt.gz";
    CLIP_MERGES = "tokenizers/clip-merges.txt.gz";
    HTML_ENTITIES = "tokenizers/html-entities.json.gz";
}

impl Asset {
    /// The file's bytes.
    ///
    /// # Errors
    /// The page has not fetched it.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(self) -> Result<ByteSource> {
        Ok(ByteSource::Memory(self.bytes.into()))
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// The page has not fetched it.
    #[cfg(target_family = "wasm")]
    pub fn open(self) -> Result<ByteSource> {
        ByteSource::open(&Path::new("assets").join(self.path))
    }
}
