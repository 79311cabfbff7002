//! The models that are part of the program.

use std::sync::Arc;

use super::open::{Checkpoint, Stage};
use super::weights::StateKind;
use crate::error::Result;

/// One bundled pair of models.
pub struct Bundled {
    /// What `--model` calls it.
    pub name: &'static str,
    /// Under what terms it is given.
    pub licence: &'static str,
    stage1: &'static [u8],
    stage2: &'static [u8],
}

/// All of them; the first is the default.
pub const BUNDLED: &[Bundled] = &[Bundled {
    name: "emoji-64",
    licence: "MIT",
    stage1: include_bytes!("../../assets/emoji-64/stage1.safetensors"),
    stage2: include_bytes!("../../assets/emoji-64/stage2.safetensors"),
}];

/// The bundled model called `name`.
pub fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}

impl Bundled {
    /// Opens one of its stages.
    pub fn open(&self, stage: Stage, kind: StateKind) -> Result<Checkpoint> {
        let bytes = match stage {
            Stage::RqVae => self.stage1,
            Stage::RqTransformer => self.stage2,
        };
        Checkpoint::from_memory(self.name, Arc::from(bytes), kind)
    }
}
