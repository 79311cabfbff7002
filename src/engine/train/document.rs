//! The configuration of a run, as stored in its folder and its checkpoints. Other files are named relative to
//! these, never by absolute path.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::files;
use crate::train::run::{STAGE1, UP};

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

/// `path` relative to `root`, or its file name if there is no such path.
fn seen_from(root: &Path, path: &Path) -> String {
    let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files::relative(path, root).unwrap_or_else(name)
}
