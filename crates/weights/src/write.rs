//! Writes safetensors files, one tensor in memory at a time.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::tensor::Dtype;
use residua_core::error::{Error, Result};
use residua_core::files::write_atomically;

/// A tensor to write: name, type (`F32` or `F16`) and shape.
pub type Described = (String, Dtype, Vec<usize>);

/// Writes `tensors` to `path`, calling `read` for the little-endian row-major bytes of each. They are in file
/// order: `F32` before `F16`, then by name, so that all are aligned. The file appears complete or not at all.
///
/// # Errors
/// [`Error::Invalid`] if a name occurs twice or is reserved, a type is neither `F32` nor `F16`, or `read`
/// returns the wrong number of bytes for the shape; [`Error::Io`] if the file cannot be written; any error
/// from `read`.
pub fn write_safetensors<B: AsRef<[u8]>>(
    path: &Path,
    tensors: &[Described],
    metadata: &BTreeMap<String, String>,
    read: impl FnMut(&str) -> Result<B>,
) -> Result<()> {
    write_atomically(path, |file| write_safetensors_into(file, path, tensors, metadata, read))
}

/// Like [`write_safetensors`], to `out`, called `name` in messages.
///
/// # Errors
/// Those of [`write_safetensors`].
pub fn write_safetensors_into<B: AsRef<[u8]>>(
    out: &mut dyn Write,
    name: &Path,
    tensors: &[Described],
    metadata: &BTreeMap<String, String>,
    mut read: impl FnMut(&str) -> Result<B>,
) -> Result<()> {
    let mut ordered: Vec<&Described> = tensors.iter().collect();
    ordered.sort_by_key(|(name, dtype, _)| (std::cmp::Reverse(dtype.size()), name));
    let header = header(&ordered, metadata)?;

    let mut writer = BufWriter::new(out);
    let mut write = |bytes: &[u8]| writer.write_all(bytes).map_err(Error::io("write", name));
    write(&(header.len() as u64).to_le_bytes())?;
    write(&header)?;
    for (tensor, dtype, shape) in ordered {
        let (elements, expected) = (read(tensor)?, byte_len(tensor, *dtype, shape)?);
        let bytes = elements.as_ref();
        if bytes.len() as u64 != expected {
            let found = bytes.len();
            return Err(Error::invalid(format!(
                "tensor {tensor:?}: expected {expected} bytes, found {found}"
            )));
        }
        write(bytes)?;
    }
    writer.flush().map_err(Error::io("write", name))
}

/// The header as JSON, padded with spaces so that the data begins at a multiple of 8 bytes.
fn header(tensors: &[&Described], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), json!(metadata));
    let mut end = 0;
    for (name, dtype, shape) in tensors {
        let start = end;
        end += byte_len(name, *dtype, shape)?;
        let entry = json!({ "dtype": format!("{dtype:?}"), "shape": shape, "data_offsets": [start, end] });
        if entries.insert(name.clone(), entry).is_some() {
            return Err(Error::invalid(format!("expected each tensor's name once, found {name:?} again")));
        }
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok(text)
}

fn byte_len(name: &str, dtype: Dtype, shape: &[usize]) -> Result<u64> {
    if !matches!(dtype, Dtype::F32 | Dtype::F16) {
        return Err(Error::invalid(format!(
            "tensor {name:?}: expected F32 or F16 to write, found {dtype:?}"
        )));
    }
    shape
        .iter()
        .try_fold(dtype.size() as u64, |len, &size| len.checked_mul(size as u64))
        .ok_or_else(|| Error::invalid(format!("tensor {name:?}: the shape {shape:?} overflows")))
}

#[cfg(test)]
mod tests {
    use super::super::file::WeightFile;
    use super::*;
    use residua_core::config::StateKind;

    fn folder_is_empty(folder: &Path) -> bool {
        std::fs::read_dir(folder).unwrap().next().is_none()
    }

    #[test]
    fn a_written_file_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let metadata = BTreeMap::from([("format".to_owned(), "residua \"1\"".to_owned())]);
        let tensors = [
            ("half".to_owned(), Dtype::F16, vec![3]),
            ("z.weight".to_owned(), Dtype::F32, vec![2, 2]),
            ("a.scalar".to_owned(), Dtype::F32, vec![]),
            ("none".to_owned(), Dtype::F32, vec![0, 5]),
        ];
        let mut asked = Vec::new();
        write_safetensors(&path, &tensors, &metadata, |name| {
            asked.push(name.to_owned());
            Ok(match name {
                "half" => {
                    [1.5, -2.0, 0.25].into_iter().flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect()
                }
                "z.weight" => [1.0f32, 2.0, 3.0, 4.0].into_iter().flat_map(f32::to_le_bytes).collect(),
                "a.scalar" => 7.0f32.to_le_bytes().into(),
                _ => Vec::new(),
            })
        })
        .unwrap();
        assert_eq!(asked, ["a.scalar", "none", "z.weight", "half"]);

        // Our reader and the format's own crate agree on the content.
        let bytes = std::fs::read(&path).unwrap();
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let ours = WeightFile::open(&path, StateKind::Auto).unwrap();
        assert_eq!(ours.metadata(), &metadata);
        assert_eq!(ours.read_f32("half").unwrap(), [1.5, -2.0, 0.25]);
        for (name, expected) in
            [("z.weight", &[1.0f32, 2.0, 3.0, 4.0][..]), ("a.scalar", &[7.0]), ("none", &[])]
        {
            let view = theirs.tensor(name).unwrap();
            assert_eq!(ours.get(name).unwrap().shape, view.shape());
            assert_eq!(ours.read_f32(name).unwrap(), expected);
            assert_eq!(view.data().as_ptr() as usize % 4, bytes.as_ptr() as usize % 4, "{name} is aligned");
            assert_eq!(view.data(), expected.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_failure_leaves_no_file() {
        let one = |dtype| [("t".to_owned(), dtype, vec![2])];
        let twice = [("t".to_owned(), Dtype::F32, vec![1]), ("t".to_owned(), Dtype::F32, vec![1])];
        let huge = [("t".to_owned(), Dtype::F32, vec![usize::MAX, 2])];
        let reserved = [("__metadata__".to_owned(), Dtype::F32, vec![1])];
        let cases: [(&[Described], &str); 5] = [
            (&one(Dtype::F32), "expected 8 bytes, found 4"),
            (&one(Dtype::I64), "expected F32 or F16"),
            (&twice, "found \"t\" again"),
            (&huge, "overflows"),
            (&reserved, "found \"__metadata__\" again"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        for (tensors, expected) in cases {
            let error =
                write_safetensors(&path, tensors, &BTreeMap::new(), |_| Ok(vec![0u8; 4])).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(folder_is_empty(folder.path()));
        }
        let error = write_safetensors(&path, &one(Dtype::F32), &BTreeMap::new(), |_| {
            Err::<Vec<u8>, _>(Error::Cancelled)
        });
        assert!(matches!(error, Err(Error::Cancelled)));
        assert!(folder_is_empty(folder.path()));
    }
}
