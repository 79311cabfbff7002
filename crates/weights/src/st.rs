//! The header of a safetensors file: names, types, shapes and offsets of its tensors.

use std::collections::BTreeMap;

use safetensors::tensor::Metadata;

use super::CONFIG_KEY;
use super::tensor::{Dtype, TensorInfo};
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;

/// Bytes of the header's length, which comes before the header.
const PREFIX: u64 = 8;
/// Size limit of the header. A model with thousands of tensors has a header of about 100 KB.
const MAX_HEADER: u64 = 16 << 20;

/// The tensors and the file's metadata.
#[derive(Debug)]
pub(super) struct Header {
    pub tensors: Vec<TensorInfo>,
    pub metadata: BTreeMap<String, String>,
}

/// Whether `start`, the first nine bytes of a file, could begin a safetensors file of `len` bytes.
pub(super) fn is_likely(start: &[u8], len: u64) -> bool {
    matches!(start, [prefix @ .., b'{'] if header_len(prefix).is_some_and(|header| header < len))
}

/// Whether `source` has a safetensors file that carries its configuration, as `convert` and runs write. Other
/// programs' files may have metadata of the same name.
pub fn has_config(source: &ByteSource) -> bool {
    let start = source.read_at(0, source.len().min(PREFIX + 1));
    start.is_ok_and(|start| is_likely(&start, source.len()))
        && read(source).is_ok_and(|header| is_own(&header.metadata))
}

/// Whether a file with this metadata carries its configuration.
pub fn is_own(metadata: &BTreeMap<String, String>) -> bool {
    metadata.contains_key(CONFIG_KEY) && metadata.get("format").is_some_and(|format| format == "residua")
}

/// Reads the header of the safetensors file in `source`. Types, shapes and offsets are checked against each
/// other and against the file's length by the rules of the format: no gaps, no overlaps, nothing beyond the
/// end.
///
/// # Errors
/// [`Error::Invalid`] if a rule is broken.
pub(super) fn read(source: &ByteSource) -> Result<Header> {
    let damaged = |what: &dyn std::fmt::Display| {
        Error::invalid(format!("not a complete safetensors file ({what}): copy or download it again"))
    };
    let len = header_len(&source.read_at(0, PREFIX)?).filter(|&len| len <= MAX_HEADER);
    let len = len.ok_or_else(|| damaged(&"the header is larger than any model's"))?;
    let header: Metadata =
        serde_json::from_slice(&source.read_at(PREFIX, len)?).map_err(|error| damaged(&error))?;
    let (expected, found) = (header.data_len() as u64, source.len() - PREFIX - len);
    if expected != found {
        return Err(damaged(&format!("expected {expected} bytes of data, found {found}")));
    }
    let stored = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let start = PREFIX + len + info.data_offsets.0 as u64;
        TensorInfo { name, dtype: dtype(info.dtype), shape: info.shape.clone(), start, strides: None }
    };
    let tensors = header.tensors().into_iter().map(stored).collect();
    let metadata =
        header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Header { tensors, metadata })
}

fn header_len(prefix: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(prefix.try_into().ok()?))
}

fn dtype(stored: safetensors::Dtype) -> Dtype {
    use safetensors::Dtype as S;
    match stored {
        S::F64 => Dtype::F64,
        S::F32 => Dtype::F32,
        S::F16 => Dtype::F16,
        S::BF16 => Dtype::BF16,
        S::I64 => Dtype::I64,
        S::I32 => Dtype::I32,
        S::I16 => Dtype::I16,
        S::I8 => Dtype::I8,
        S::U8 => Dtype::U8,
        S::BOOL => Dtype::Bool,
        S::U64 => Dtype::Other("U64", 8),
        S::U32 => Dtype::Other("U32", 4),
        S::U16 => Dtype::Other("U16", 2),
        S::C64 => Dtype::Other("C64", 8),
        S::F8_E4M3 => Dtype::Other("F8_E4M3", 1),
        S::F8_E5M2 => Dtype::Other("F8_E5M2", 1),
        // Smaller than eight bits, or newer than this code.
        _ => Dtype::Other("unknown", 1),
    }
}
