//! The configuration of a run, as its folder and its checkpoints carry it: other files are named as seen from there, never
//! from the root of somebody's machine.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::files;
use crate::train::run::{STAGE1, UP};

/// What a configuration says of files beside it.
pub struct Places {
    /// Names of the classes, of a transformer.
    pub classes: Vec<String>,
    /// SHA-256 of the RQ-VAE's weights that the run has kept, of a transformer.
    pub stage1: Option<String>,
    /// Weights of LPIPS, of an RQ-VAE.
    pub lpips: Vec<PathBuf>,
}

impl Places {
    /// `document` with these, for the run in `root`: that of the folder, and that of its checkpoints.
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

/// `path` as seen from `root`; where there is no way, its name.
fn seen_from(root: &Path, path: &Path) -> String {
    let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files::relative(path, root).unwrap_or_else(name)
}
