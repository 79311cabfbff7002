//! What pictures show, in words: `captions.tsv` (a path, a tab, the caption) or `metadata.jsonl` (`file_name` and `text`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::files;

/// The longest file of captions that is read, in bytes.
const LONGEST: u64 = 1 << 30;

/// Reads a line of a file.
type Parse = fn(&str) -> Option<Line>;

/// The files that captions are in.
const KINDS: [(&str, Parse); 2] = [("captions.tsv", tabbed), ("metadata.jsonl", json)];

#[derive(Deserialize)]
struct Line {
    file_name: PathBuf,
    text: String,
}

/// Captions by path, relative to `folder`; none where it has no such file.
pub fn read(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    for (name, parse) in KINDS {
        let path = folder.join(name);
        if !files::is_file(&path) {
            continue;
        }
        let text = String::from_utf8(files::read_limited(&path, LONGEST)?)
            .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
        let mut captions = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line = parse(line).ok_or_else(|| {
                Error::invalid(format!("{}: line {} is no caption of a file", path.display(), number + 1))
            })?;
            captions.insert(line.file_name, line.text);
        }
        return Ok(captions);
    }
    Ok(BTreeMap::new())
}

fn tabbed(line: &str) -> Option<Line> {
    let (path, text) = line.split_once('\t')?;
    Some(Line { file_name: path.into(), text: text.trim().into() })
}

fn json(line: &str) -> Option<Line> {
    serde_json::from_str(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let [tsv, jsonl] = [
            ("captions.tsv", "a/1.png\ta red cat\n\nb/2.png\ttwo\tdogs\n"),
            ("metadata.jsonl", "{\"file_name\":\"a/1.png\",\"text\":\"a red cat\"}\n{\"file_name\":\"b/2.png\",\"text\":\"two\\tdogs\"}\n"),
        ]
        .map(|(name, text)| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
            read(folder.path()).unwrap()
        });
        assert_eq!(tsv, jsonl);
        assert_eq!(tsv[Path::new("a/1.png")], "a red cat");
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("captions.tsv"), "a.png\tok\nb.png no tab\n").unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
