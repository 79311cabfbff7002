//! The configuration of a run, as stored in its folder and its checkpoints, which users share. Other files are
//! named relative to these, never by absolute path.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use residua_core::files;
use residua_train::run::{STAGE1, UP};

/// Keys that say where things are on the user's machine. They are left out: no run needs them.
pub const LEFT_OUT: [&str; 3] = ["dataset.root", "result_path", "runtime"];

/// The files and classes that a configuration refers to.
pub struct Places {
    /// Names of the classes, for a transformer.
    pub classes: Vec<String>,
    /// SHA-256 of the weights of the run's own RQ-VAE, for a transformer.
    pub stage1: Option<String>,
    /// Weights of LPIPS, for an RQ-VAE.
    pub lpips: Vec<PathBuf>,
}

impl Places {
    /// `document` with these entries, for the run in `root`: first for the folder, then for its checkpoints.
    pub fn described(&self, document: &Value, root: &Path) -> [Value; 2] {
        ["", UP].map(|up| {
            let mut document = document.clone();
            LEFT_OUT.iter().for_each(|key| remove(&mut document, key));
            let lpips: Vec<String> =
                self.lpips.iter().map(|path| up.to_string() + &seen_from(root, path)).collect();
            if !lpips.is_empty() {
                document["gan"]["loss"]["lpips"] = json!(lpips);
            }
            if let Some(sha256) = &self.stage1 {
                document["vqvae"] = json!({ "ckpt": format!("{up}{STAGE1}"), "sha256": sha256 });
                if !self.classes.is_empty() {
                    document["classes"] = json!(self.classes);
                }
            }
            document
        })
    }
}

/// Removes `key` from `section`; the names of sections below it come first, with dots between them.
fn remove(section: &mut Value, key: &str) {
    if let Some((name, key)) = key.split_once('.') {
        section.get_mut(name).into_iter().for_each(|below| remove(below, key));
    } else if let Some(entries) = section.as_object_mut() {
        entries.remove(key);
    }
}

/// `path` relative to `root`, or its file name if there is no such path.
fn seen_from(root: &Path, path: &Path) -> String {
    let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files::relative(path, root).unwrap_or_else(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_where_things_are_is_left_out() {
        let given = json!({
            "dataset": { "type": "imagenet", "root": "/home/me" }, "result_path": "/tmp", "seed": 1,
            "runtime": { "args": { "load_path": "/home/me" } },
        });
        let places = Places { classes: Vec::new(), stage1: None, lpips: Vec::new() };
        for document in places.described(&given, Path::new("run")) {
            assert_eq!(document, json!({ "dataset": { "type": "imagenet" }, "seed": 1 }));
        }
        assert_eq!(places.described(&json!({}), Path::new("run"))[0], json!({}));
    }
}
