//! A weight file, PyTorch's `.pt` or safetensors: its contents, and its tensors one at a time.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use half::f16;
use half::slice::HalfFloatSliceExt;
use sha2::{Digest, Sha256};

pub use super::pt::Available;
pub use super::tensor::{Dtype, TensorInfo};
use super::wrappers::{in_average, unwrap_names, unwrap_wanted};
use super::{legacy, pt, shards, st};
use residua_core::config::{Renamed, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;
use residua_core::files::kinds;
use residua_core::task::check_ending;

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
                "expected a file of weights, found -: weights cannot be read from standard input",
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

    fn sorted(mut self) -> Self {
        self.tensors.sort_by(|one, other| one.name.cmp(&other.name));
        self
    }

    /// Removes the prefix of the tensors named `wanted`, if a wrapper gave them one.
    pub fn fitted(mut self, wanted: &HashSet<&str>) -> Self {
        unwrap_wanted(&mut self.tensors, wanted);
        self.sorted()
    }

    /// Renames tensors to our models' names, and drops others, as `names` says.
    pub fn renamed(mut self, names: &[Renamed]) -> Self {
        let renamed = |tensor: &TensorInfo| {
            let known =
                |(theirs, ours): &Renamed| Some((tensor.name.strip_prefix(theirs)?.to_owned(), *ours));
            names.iter().find_map(known)
        };
        self.tensors.retain_mut(|tensor| match renamed(tensor) {
            Some((rest, Some(ours))) => {
                tensor.name = format!("{ours}{rest}");
                true
            }
            Some((_, None)) => false,
            None => true,
        });
        self.sorted()
    }

    /// The name of the file in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Passes all bytes of the file to `take`, in order and piece by piece.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Cancelled`] if the process was asked to end; or the error from
    /// `take`.
    pub fn for_each_chunk(&self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        const CHUNK: u64 = 1 << 20;
        let mut offset = 0;
        while offset < self.source.len() {
            check_ending()?;
            let length = CHUNK.min(self.source.len() - offset);
            take(&self.source.read_at(offset, length)?)?;
            offset += length;
        }
        Ok(())
    }

    /// SHA-256 of the file, in hexadecimal. The file is read only for the first call.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
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

    /// Removes the tensors whose names start with one of `prefixes`.
    ///
    /// # Errors
    /// [`Error::Usage`] if no name starts with one of them.
    pub fn without(mut self, prefixes: &[String]) -> Result<Self> {
        for prefix in prefixes {
            let count = self.tensors.len();
            self.tensors.retain(|tensor| !tensor.name.starts_with(prefix.as_str()));
            if self.tensors.len() == count {
                return Err(Error::usage(format!(
                    "{}: expected tensors named {prefix}…, found none",
                    self.name
                )));
            }
        }
        Ok(self)
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

/// The contents of a file.
struct Parts {
    tensors: Vec<TensorInfo>,
    kind: StateKind,
    available: Available,
    metadata: BTreeMap<String, String>,
    unpacked: Option<ByteSource>,
}

impl From<pt::Pt> for Parts {
    fn from(pt: pt::Pt) -> Self {
        let pt::Pt { tensors, kind, available, unpacked } = pt;
        Self { tensors, kind, available, metadata: BTreeMap::new(), unpacked }
    }
}

/// Detects the format by content, and reads its index.
fn parts(source: &ByteSource, wanted: StateKind) -> Result<Parts> {
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
    fn safetensors(tensors: &[(&str, &str, usize)]) -> Arc<[u8]> {
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
    fn prefixes_common_to_all_names_are_removed() {
        let named = |names: &[&str]| {
            let tensors: Vec<_> = names.iter().map(|&name| (name, "F32", 4)).collect();
            let file = WeightFile::from_bytes("w", safetensors(&tensors), StateKind::Auto).unwrap();
            file.tensors().iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named(&["module.a", "module.b"]), ["a", "b"]);
        assert_eq!(named(&["module.module.a", "module.b"]), ["b", "module.a"]);
        assert_eq!(named(&["module.a", "b"]), ["b", "module.a"]);
        assert_eq!(named(&["state_dict.model._orig_mod.a", "state_dict.model._orig_mod.b"]), ["a", "b"]);
        // Tensors beside the model do not count.
        assert_eq!(named(&["model.a", "model.b", "loss.model.c"]), ["a", "b", "loss.model.c"]);
        // Wrappers of single layers.
        assert_eq!(
            named(&["a._orig_mod.b", "_fsdp_wrapped_module.a._checkpoint_wrapped_module.c", "d"]),
            ["a.b", "a.c", "d"]
        );
        assert!(named(&[]).is_empty());
    }

    #[test]
    fn tensors_are_renamed_by_their_prefixes() {
        let bytes = safetensors(&[("a.b", "F32", 4), ("loss.x", "F32", 4), ("q.weight", "F32", 4)]);
        let file = WeightFile::from_bytes("w", bytes, StateKind::Auto).unwrap();
        let file = file.renamed(&[("q.", Some("a.a.")), ("loss.", None)]);
        let names: Vec<_> = file.tensors().iter().map(|tensor| &tensor.name[..]).collect();
        assert_eq!(names, ["a.a.weight", "a.b"]);
        assert!(file.get("a.a.weight").is_some());
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
