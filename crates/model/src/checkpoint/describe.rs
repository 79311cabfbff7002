//! The configuration inside a converted file. Such files are shared, so it names other files relative to its
//! own, and no place on the machine where the model was trained.

use std::path::Path;

use serde_json::{Map, Value};

use super::open::LICENCE_KEY;
use crate::Checkpoint;
use residua_core::config::StateKind;
use residua_core::error::Result;
use residua_core::files;

/// The section of a configuration that names the RQ-VAE.
const STAGE1: &str = "vqvae";
/// Keys about the run and the machine, which no model needs.
const OF_THE_RUN: [&str; 2] = ["result_path", "runtime"];
/// Keys of texts that may look like paths: names of classes, and words of captions.
const TEXTS: [&str; 2] = ["classes", "words"];

/// The configuration of `checkpoint` for the converted file at `path`, in a folder that exists. It states the licence, which
/// may ask for credit.
///
/// # Errors
/// The RQ-VAE of a transformer cannot be read.
pub(super) fn described(checkpoint: &Checkpoint, path: &Path) -> Result<Value> {
    let mut document = checkpoint.config.document.clone();
    if let Some(sections) = document.as_object_mut() {
        sections.retain(|key, _| !OF_THE_RUN.contains(&key.as_str()));
        if let Some(licence) = checkpoint.licence() {
            sections.insert(LICENCE_KEY.into(), licence.into());
        }
        if checkpoint.rqtransformer().is_ok() {
            let named = sections.get(STAGE1).and_then(Value::as_object).cloned().unwrap_or_default();
            let named = stage1(checkpoint, named, path)?;
            if named.is_empty() {
                sections.shift_remove(STAGE1)
            } else {
                sections.insert(STAGE1.into(), named.into())
            };
        }
    }
    forget_places(&mut document);
    Ok(document)
}

/// The section that names the RQ-VAE of `checkpoint`, as seen from `path`. It has the hash of the tensors,
/// since the RQ-VAE may be converted as well.
fn stage1(checkpoint: &Checkpoint, mut named: Map<String, Value>, path: &Path) -> Result<Map<String, Value>> {
    named.remove("ckpt");
    // It may be elsewhere, to be given by the user.
    let Ok(stage1) = checkpoint.open_stage1(None, StateKind::Auto) else { return Ok(named) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(place) = stage1.place().and_then(|place| files::relative(place, folder)) {
        named.insert("ckpt".into(), place.into());
    }
    if let Some(learned) = &checkpoint.rqtransformer()?.stage1_sha256
        && stage1.weights.sha256()? == learned
    {
        named.insert("sha256".into(), stage1.content()?.into());
    }
    Ok(named)
}

/// Removes absolute paths.
fn forget_places(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !is_place(value));
            let others = entries.iter_mut().filter(|(key, _)| !TEXTS.contains(&key.as_str()));
            others.for_each(|(_, value)| forget_places(value));
        }
        Value::Array(items) => {
            items.retain(|item| !is_place(item));
            items.iter_mut().for_each(forget_places);
        }
        _ => (),
    }
}

/// Whether `value` is an absolute path of any system, whichever this is.
fn is_place(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let has_drive = matches!(text.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic());
    has_drive || ["/", "~/", "\\\\", "file:"].iter().any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absolute_paths_are_forgotten_and_nothing_else() {
        let mut document = json!({
            "dataset": { "type": "a/b", "root": "/home/alice/pictures", "words": ["/", "cat"] },
            "gan": { "loss": { "lpips": ["C:\\Users\\alice\\vgg.pth", "../vgg.pth", "~/vgg.pth"] } },
            "classes": ["/m/01yrx", "dog"], "seed": 1, "host": "\\\\server\\alice", "from": "file:///a",
        });
        forget_places(&mut document);
        let expected = json!({
            "dataset": { "type": "a/b", "words": ["/", "cat"] },
            "gan": { "loss": { "lpips": ["../vgg.pth"] } },
            "classes": ["/m/01yrx", "dog"], "seed": 1,
        });
        assert_eq!(document, expected);
    }
}
