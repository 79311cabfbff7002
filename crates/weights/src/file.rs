//! A weight file, PyTorch's `.pt` or safetensors: its contents, and its tensors one at a time.

mod format;
mod names;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use half::f16;
use half::slice::HalfFloatSliceExt;
use sha2::{Digest, Sha256};

pub use super::available::Available;
use super::shards;
pub use super::tensor::{Dtype, TensorInfo};
use super::wrappers::unwrap_names;
use format::{Parts, parts};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;
use residua_core::task::check_interrupted;

/// An open weight file. Only its index is in memory; tensors are read on request, from any thread.
#[derive(Debug)]
pub struct WeightFile {
    /// The name of the file in messages.
    name: String,
    source: ByteSource,
    /// The uncompressed content, if the tensors' offsets refer to that rather than to the file.
    unpacked: Option<ByteSource>,
    /// Sorted by name.
    tensors: Vec<TensorInfo>,
    kind: StateKind,
    available: Available,
    metadata: BTreeMap<String, String>,
    /// The hash of the file, once it was asked for.
    sha256: OnceLock<String>,
}

impl WeightFile {
    /// Opens the file at `path`, whatever its extension, and reads its index. If it lists other files (see
    /// `shards.rs`), they are opened as one.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Invalid`] if it is damaged or not a supported weight
    /// file; [`Error::Usage`] if it does not have the requested `kind` of weights.
    pub fn open(path: &Path, kind: StateKind) -> Result<Self> {
        Self::open_as(&path.display().to_string(), path, kind)
    }

    /// Like [`Self::open`], called `name` in messages.
    ///
    /// # Errors
    /// Those of [`WeightFile::open`].
    pub fn open_as(name: &str, path: &Path, kind: StateKind) -> Result<Self> {
        if path == Path::new("-") {
            return Err(Error::usage(
                "expected a file of weights, found -: weights are not read from a stream",
            ));
        }
        if !shards::is_index(path) {
            return Self::from_source(name, ByteSource::open(path)?, kind);
        }
        let (mut sources, mut all) = (Vec::<ByteSource>::new(), None::<Parts>);
        for path in shards::listed(path)? {
            let source = ByteSource::open(&path)?;
            let mut parts =
                parts(&source, kind).map_err(|error| in_file(&path.display().to_string(), error))?;
            let start: u64 = sources.iter().map(ByteSource::len).sum();
            parts.tensors.iter_mut().for_each(|tensor| tensor.start += start);
            sources.push(parts.unpacked.take().unwrap_or(source));
            match &mut all {
                Some(all) => all.tensors.append(&mut parts.tensors),
                None => all = Some(parts),
            }
        }
        let parts = all.expect("an index lists at least one file");
        Ok(Self::of_parts(name, ByteSource::Joined(sources), parts))
    }

    /// Like [`Self::open`], for a file whose `bytes` are in memory; `name` is for messages.
    ///
    /// # Errors
    /// Those of [`WeightFile::open`].
    pub fn from_bytes(name: &str, bytes: Arc<[u8]>, kind: StateKind) -> Result<Self> {
        Self::from_source(name, ByteSource::Memory(bytes), kind)
    }

    /// Like [`Self::open`], for any source of bytes.
    ///
    /// # Errors
    /// Those of [`WeightFile::open`].
    pub fn from_source(name: &str, source: ByteSource, kind: StateKind) -> Result<Self> {
        let parts = parts(&source, kind).map_err(|error| in_file(name, error))?;
        Ok(Self::of_parts(name, source, parts))
    }

    fn of_parts(name: &str, source: ByteSource, parts: Parts) -> Self {
        let Parts { mut tensors, kind, available, metadata, unpacked } = parts;
        unwrap_names(&mut tensors);
        let (name, sha256) = (name.to_owned(), OnceLock::new());
        Self { name, source, unpacked, tensors, kind, available, metadata, sha256 }.sorted()
    }

    /// The name of the file in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Passes all bytes of the file to `take`, in order and piece by piece.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Cancelled`] if the process was interrupted; or the error from
    /// `take`.
    pub fn for_each_chunk(&self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        const CHUNK: u64 = 1 << 20;
        let mut offset = 0;
        while offset < self.source.len() {
            check_interrupted()?;
            let length = CHUNK.min(self.source.len() - offset);
            take(&self.source.read_at(offset, length)?)?;
            offset += length;
        }
        Ok(())
    }

    /// SHA-256 of the file, in hexadecimal. The file is read only for the first call.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Cancelled`] if the process was interrupted.
    pub fn sha256(&self) -> Result<&str> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let mut hash = Sha256::new();
        self.for_each_chunk(|chunk| {
            hash.update(chunk);
            Ok(())
        })?;
        Ok(self.sha256.get_or_init(|| hexadecimal(&hash.finalize())))
    }

    /// The tensors, sorted by name.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor named `name`.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        let index = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        Some(&self.tensors[index])
    }

    /// The shape of the tensor named `name`, for a model whose sizes are read from its weights.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such tensor, it does not have `D` dimensions, or one of them is
    /// empty.
    pub fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let found = self.get(name).map(|tensor| tensor.shape.as_slice());
        let shape = found.and_then(|shape| <[usize; D]>::try_from(shape).ok());
        shape.filter(|shape| !shape.contains(&0)).ok_or_else(|| {
            let found = found.map_or("none".into(), |shape| format!("one of shape {shape:?}"));
            Error::invalid(format!(
                "{}: expected a tensor {name} with {D} dimensions, found {found}",
                self.name
            ))
        })
    }

    /// How many tensors have a name that is `before`, a number and `after`: the layers of a model.
    pub fn count(&self, before: &str, after: &str) -> usize {
        let number = |name: &str| name.strip_prefix(before)?.strip_suffix(after)?.parse::<u32>().ok();
        self.tensors.iter().filter(|tensor| number(&tensor.name).is_some()).count()
    }

    /// The elements of the tensor named `name`, row-major, converted from the type in the file.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such tensor; [`Error::Io`] if the file cannot be read;
    /// [`Error::Invalid`] if the elements do not fit in memory.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        self.read(name, |out, piece| out.extend_from_slice(piece))
    }

    /// The elements of the tensor named `name` in half precision, row-major, rounded to nearest via `f32`.
    /// They are converted piece by piece, so there is never a full copy in another type.
    ///
    /// # Errors
    /// Those of [`WeightFile::read_f32`].
    pub fn read_f16(&self, name: &str) -> Result<Vec<f16>> {
        self.read(name, |out, piece| {
            let start = out.len();
            out.resize(start + piece.len(), f16::ZERO);
            out[start..].convert_from_f32_slice(piece);
        })
    }

    fn read<T>(&self, name: &str, mut append: impl FnMut(&mut Vec<T>, &[f32])) -> Result<Vec<T>> {
        let tensor = self.get(name).ok_or_else(|| {
            Error::usage(format!("{}: no tensor is named {name:?} in this file", self.name))
        })?;
        let mut out = Vec::new();
        out.try_reserve_exact(tensor.elements()).map_err(|error| {
            Error::invalid(format!("{}: tensor {name:?} does not fit in memory: {error}", self.name))
        })?;
        tensor
            .for_each_piece(self.unpacked.as_ref().unwrap_or(&self.source), |piece| append(&mut out, piece))
            .map_err(|error| in_file(&self.name, error))?;
        Ok(out)
    }

    /// The metadata of a safetensors file; empty for a `.pt`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Which weights were loaded: never [`StateKind::Auto`].
    pub fn kind(&self) -> StateKind {
        self.kind
    }

    /// Which weights the file has.
    pub fn available(&self) -> Available {
        self.available
    }
}

/// The digits of a hash.
pub fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds the file's name to an error that does not mention it.
fn in_file(name: &str, error: Error) -> Error {
    match error {
        Error::Invalid(what) => Error::invalid(format!("{name}: {what}")),
        Error::Usage(what) => Error::usage(format!("{name}: {what}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::PathBuf;

    fn fixture(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/fixtures").join(name)
    }

    fn golden(name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
    }

    /// Compares names, types, shapes and all values with those that PyTorch read from the same file.
    fn assert_as_in_pytorch(file: &WeightFile, expected: &Value) {
        let expected = expected.as_object().unwrap();
        let names: Vec<_> = file.tensors().iter().map(|tensor| &tensor.name).collect();
        let mut sorted: Vec<_> = expected.keys().collect();
        sorted.sort();
        assert_eq!(names, sorted);
        for (name, entry) in expected {
            let tensor = file.get(name).unwrap();
            assert_eq!(format!("{:?}", tensor.dtype), entry["dtype"].as_str().unwrap(), "{name}");
            let shape: Vec<u64> = tensor.shape.iter().map(|&size| size as u64).collect();
            assert_eq!(serde_json::json!(shape), entry["shape"], "{name}");
            let values = file.read_f32(name).unwrap();
            let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
            assert!((sum - entry["sum"].as_f64().unwrap()).abs() < 1e-6, "{name}: {sum}");
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(hexadecimal(&Sha256::digest(&bytes)), entry["sha256"].as_str().unwrap(), "{name}");
            let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
            assert_eq!(file.read_f16(name).unwrap(), halves, "{name}");
        }
    }

    #[test]
    fn a_published_checkpoint_has_the_values_that_pytorch_reads() {
        let (path, golden) = (fixture("rqt-class/model.pt"), golden("rqt-class/tensors.json"));
        for (wanted, taken, key) in [
            (StateKind::Auto, StateKind::State, "state_dict"),
            (StateKind::Ema, StateKind::Ema, "state_dict_ema"),
            (StateKind::State, StateKind::State, "state_dict"),
        ] {
            let file = WeightFile::open(&path, wanted).unwrap();
            assert_eq!((file.kind(), file.available()), (taken, Available { state: true, ema: true }));
            assert_as_in_pytorch(&file, &golden[key]);
        }
    }

    #[test]
    fn every_type_layout_and_protocol_is_read() {
        for name in ["checkpoint/odd-2.pt", "checkpoint/odd-4.pt", "checkpoint/odd-legacy.pt"] {
            let bytes = std::fs::read(fixture(name)).unwrap();
            let file = WeightFile::from_bytes(name, bytes.into(), StateKind::Auto).unwrap();
            assert_eq!(file.available(), Available { state: true, ema: false });
            assert_as_in_pytorch(&file, &golden("checkpoint/odd.json"));
        }
    }

    #[test]
    fn a_torch_script_program_has_the_weights_of_its_state_dict() {
        let file = WeightFile::open(&fixture("checkpoint/scripted.pt"), StateKind::Auto).unwrap();
        assert_eq!(file.available(), Available { state: true, ema: false });
        assert_as_in_pytorch(&file, &golden("checkpoint/scripted.json"));
    }

    #[test]
    fn a_bare_state_dict_loses_its_wrapper() {
        let file = WeightFile::open(&fixture("checkpoint/bare.pt"), StateKind::Auto).unwrap();
        let names: Vec<_> = file.tensors().iter().map(|tensor| &tensor.name[..]).collect();
        assert_eq!((names, file.kind()), (vec!["bias", "weight"], StateKind::State));
    }

    /// A safetensors file with one element of each type.
    pub fn safetensors(tensors: &[(&str, &str, usize)]) -> Arc<[u8]> {
        let mut end = 0;
        let entries: Vec<String> = tensors
            .iter()
            .map(|(name, dtype, size)| {
                let start = end;
                end += size;
                format!(r#""{name}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[{start},{end}]}}"#)
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; end]].concat().into()
    }

    #[test]
    fn tensors_of_unsupported_types_fail_only_when_read() {
        let bytes = safetensors(&[
            ("a", "F32", 4),
            ("b", "U64", 8),
            ("c", "F8_E4M3", 1),
            ("d", "C64", 8),
            ("e", "F32", 4),
        ]);
        let file = WeightFile::from_bytes("w.bin", bytes, StateKind::Auto).unwrap();
        assert_eq!(file.tensors().len(), 5);
        assert_eq!(file.read_f32("e").unwrap(), [0.0]);
        for (name, dtype) in [("b", "U64"), ("c", "F8_E4M3"), ("d", "C64")] {
            let message = file.read_f32(name).unwrap_err().to_string();
            assert_eq!(message, format!("w.bin: tensor {name:?} has type {dtype}: convert it to F32 or F16"));
        }
    }

    #[test]
    fn safetensors_are_read_as_their_own_crate_reads_them() {
        let path = fixture("rqt-class/golden.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let ours = WeightFile::open(&path, StateKind::Auto).unwrap();
        assert_eq!(ours.tensors().len(), theirs.len());
        for (name, view) in theirs.iter() {
            let tensor = ours.get(name).unwrap();
            assert_eq!(tensor.shape, view.shape());
            let expected: Vec<f32> = match view.dtype() {
                safetensors::Dtype::F32 => {
                    view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
                }
                safetensors::Dtype::I64 => {
                    view.data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f32).collect()
                }
                other => panic!("{other}"),
            };
            assert_eq!(ours.read_f32(name).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn missing_tensors_and_weights_are_named() {
        let file = WeightFile::open(&fixture("checkpoint/bare.pt"), StateKind::Auto).unwrap();
        assert!(
            matches!(file.read_f32("absent"), Err(Error::Usage(message)) if message.contains("\"absent\""))
        );
        assert!(matches!(
            WeightFile::open(&fixture("checkpoint/bare.pt"), StateKind::Ema),
            Err(Error::Usage(message)) if message.contains("bare.pt: no EMA weights")
        ));
    }
}
