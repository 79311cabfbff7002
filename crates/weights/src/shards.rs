//! Weights in several files, as Hugging Face splits large ones: an index names the file of each tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use residua_core::error::{Error, Result};
use residua_core::files;

/// How the names of indices end.
const INDICES: [&str; 2] = [".safetensors.index.json", ".bin.index.json"];
/// Maximum size of an index, in bytes: that of a large model with thousands of tensors has some 100 KB.
const LONGEST: u64 = 16 << 20;

#[derive(Deserialize)]
struct Index {
    /// The name of the file with each tensor.
    weight_map: BTreeMap<String, String>,
}

/// Whether `path` has the name of an index, such as `model.safetensors.index.json`.
pub(super) fn is_index(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    INDICES.iter().any(|ending| name.ends_with(ending))
}

/// Whether `path` has the name of a file that an index lists, such as `model-00001-of-00002.safetensors`.
pub(super) fn is_shard(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of = stem.rsplit_once("-of-").filter(|(_, count)| is_number(count));
    of.and_then(|(before, _)| before.rsplit_once('-')).is_some_and(|(_, number)| is_number(number))
}

/// The files that the index at `path` lists, which are beside it.
///
/// # Errors
/// The index cannot be read, lists no file, or one in another folder.
pub(super) fn listed(path: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |what: String| Error::invalid(format!("{}: {what}", path.display()));
    let index: Index = serde_json::from_str(&files::read_text(path, LONGEST)?)
        .map_err(|_| wrong("expected an index of weight files (weight_map), found something else".into()))?;
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    if names.is_empty() {
        return Err(wrong("expected an index of weight files, found an empty one: download it again".into()));
    }
    let beside = |name: &String| {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(_)), None) => Ok(path.with_file_name(name)),
            _ => Err(wrong(format!("expected names of files in its folder, found {name:?}"))),
        }
    };
    names.into_iter().map(beside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_shards_are_recognized_by_name() {
        let is = |name: &str| [is_index(Path::new(name)), is_shard(Path::new(name))];
        for name in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
            assert_eq!(is(name), [true, false], "{name}");
        }
        for name in ["a/model-00001-of-00002.safetensors", "pytorch_model-2-of-3.bin"] {
            assert_eq!(is(name), [false, true], "{name}");
        }
        for name in ["model.safetensors", "index.json", "one-of-two.pt", "-of-2.pt", "a-1-of-.pt"] {
            assert_eq!(is(name), [false, false], "{name}");
        }
    }

    #[test]
    fn files_are_listed_once_and_only_beside_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors.index.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            listed(&path)
        };
        let found = read(r#"{"metadata": {}, "weight_map": {"a": "2.bin", "b": "1.bin", "c": "2.bin"}}"#);
        assert_eq!(found.unwrap(), ["1.bin", "2.bin"].map(|name| folder.path().join(name)));
        for (text, expected) in [
            ("[]", "expected an index of weight files (weight_map), found something else"),
            (r#"{"weight_map": {}}"#, "found an empty one"),
            (r#"{"weight_map": {"a": "../b"}}"#, "in its folder, found \"../b\""),
            (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "found \"/etc/passwd\""),
            (r#"{"weight_map": {"a": ""}}"#, "found \"\""),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
