//! The files that come with Residua, as bytes in the program. In a browser only their paths are part of it, and the page
//! fetches the files on demand.

/// A bundled file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path below `assets`.
    pub path: &'static str,
    /// Contents.
    #[cfg(not(target_family = "wasm"))]
    pub bytes: &'static [u8],
}

/// Defines a constant for each file. Its bytes are a static, or every crate that names it would have a copy.
macro_rules! assets {
    ($($name:ident = $path:literal;)*) => {
        $(
            #[doc = $path]
            pub const $name: Asset = Asset {
                path: $path,
                #[cfg(not(target_family = "wasm"))]
                bytes: {
                    static BYTES: [u8; include_bytes!($path).len()] = *include_bytes!($path);
                    &BYTES
                },
            };
        )*
    };
}

assets! {
    CHARACTERS_128_STAGE_1 = "characters-128/stage1.safetensors";
    CHARACTERS_128_CONTEXTUAL = "characters-128/contextual.safetensors";
    CHARACTERS_128_AUTOREGRESSIVE = "characters-128/autoregressive.safetensors";
    SAMPLE = "samples/red-cat.png";
    BPE_16K_ALPHABET = "tokenizers/bpe-16k-alphabet.txt.gz";
    BPE_30K_ALPHABET = "tokenizers/bpe-30k-alphabet.txt.gz";
    BPE_MERGES = "tokenizers/bpe-merges.txt.gz";
    CLIP_MERGES = "tokenizers/clip-merges.txt.gz";
    HTML_ENTITIES = "tokenizers/html-entities.json.gz";
}

/// The configuration that trains the RQ-VAE of characters-128.
pub const CHARACTERS_128_STAGE_1_CONFIG: &str = include_str!("characters-128/stage1.yaml");
/// The configuration that trains the autoregressive model of characters-128.
pub const CHARACTERS_128_AUTOREGRESSIVE_CONFIG: &str = include_str!("characters-128/autoregressive.yaml");
