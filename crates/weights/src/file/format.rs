//! The formats of weight files, told apart by content.

use std::collections::BTreeMap;

use super::{Available, TensorInfo};
use crate::wrappers::in_average;
use crate::{legacy, pt, st};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;
use residua_core::files::kinds;

/// The contents of a file.
pub struct Parts {
    pub tensors: Vec<TensorInfo>,
    pub kind: StateKind,
    pub available: Available,
    pub metadata: BTreeMap<String, String>,
    /// The uncompressed content, if the tensors' offsets refer to that rather than to the file.
    pub unpacked: Option<ByteSource>,
}

impl From<pt::Pt> for Parts {
    fn from(pt: pt::Pt) -> Self {
        let pt::Pt { tensors, kind, available, unpacked } = pt;
        Self { tensors, kind, available, metadata: BTreeMap::new(), unpacked }
    }
}

/// Detects the format by content, and reads its index.
pub fn parts(source: &ByteSource, wanted: StateKind) -> Result<Parts> {
    let start = source.read_at(0, source.len().min(kinds::LONGEST_START as u64))?;
    match start[..] {
        // First: the file begins with its header's length, which may equal any of the magic numbers below.
        _ if st::is_likely(&start[..start.len().min(9)], source.len()) => {
            let st::Header { mut tensors, metadata } = st::read(source)?;
            let is_average = |tensor: &TensorInfo| in_average(&tensor.name).is_some();
            let ema = tensors.iter().any(is_average);
            let available = Available { state: !ema || !tensors.iter().all(is_average), ema };
            let kind = available.choose(wanted)?;
            tensors.retain(|tensor| is_average(tensor) == (kind == StateKind::Ema));
            for tensor in &mut tensors {
                if let Some(name) = in_average(&tensor.name) {
                    tensor.name = name.to_owned();
                }
            }
            Ok(Parts { tensors, kind, available, metadata, unpacked: None })
        }
        [b'P', b'K', ..] => pt::read(source, wanted).map(Parts::from),
        _ if legacy::begins(&start) => legacy::read(source, wanted).map(Parts::from),
        [0x80, 0..=5, ..] => {
            Err(Error::invalid(format!("a pickle, but not a complete PyTorch file: {}", pt::RE_SAVE)))
        }
        _ => Err(Error::invalid(match kinds::known(&start) {
            Some(found) => format!("expected a .pt or safetensors file, found {found}"),
            None if start.is_empty() => {
                "expected a .pt or safetensors file, found an empty file: copy it again".into()
            }
            None => {
                "expected a .pt or safetensors file, found something else or a truncated file: copy it again"
                    .into()
            }
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::super::WeightFile;
    use super::*;

    #[test]
    fn errors_name_the_file_and_say_what_to_do() {
        let open = |bytes: &[u8]| WeightFile::from_bytes("w.bin", bytes.into(), StateKind::Auto).unwrap_err();
        let header = |json: &str, data: usize| {
            [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &vec![0; data]].concat()
        };
        let tensor = |fields: &str| format!(r#"{{"t":{{{fields}}}}}"#);
        for (bytes, expected) in [
            (vec![], "found an empty file"),
            (b"just text".to_vec(), "something else"),
            (b"\x80\x02\x8a\x0al\xfc\x9c".to_vec(), "not a complete PyTorch file: load it and save it again"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9".to_vec(), "the pickle is cut short"),
            (b"\x1f\x8b\x08".to_vec(), "found gzip"),
            (b"PK\x03\x04".to_vec(), "not a complete .pt file"),
            (header("{}", 5), "expected 0 bytes of data, found 5"),
            (header("{nonsense}", 0), "not a complete safetensors file"),
            (
                header(&tensor(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#), 7),
                "expected 8 bytes of data, found 7",
            ),
            (header(&tensor(r#""dtype":"F32","shape":[3],"data_offsets":[0,8]"#), 8), "invalid shape"),
            (header(&tensor(r#""dtype":"F32","shape":[2],"data_offsets":[4,12]"#), 12), "invalid offset"),
            (
                header(&tensor(r#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]"#), 0),
                "overflow",
            ),
            (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "found a Git LFS pointer"),
            (b"<!DOCTYPE html>".to_vec(), "found a web page"),
            (b"GGUF\x03\0\0\0\0\0\0\0".to_vec(), "found a GGUF file"),
            ([&(1u64 << 60).to_le_bytes()[..], b"{}"].concat(), "something else or a truncated file"),
            ([&(17u64 << 20).to_le_bytes()[..], &vec![b'{'; 18 << 20]].concat(), "larger than any model's"),
        ] {
            let message = open(&bytes).to_string();
            assert!(message.starts_with("w.bin: ") && message.contains(expected), "{expected}: {message}");
        }
    }
}
