//! Changes of codes.

use super::{CodeStack, Coded, Model, Result, Task};
use crate::reconstruct::decode;

/// Changes of an image's codes; see [`Model::edit`].
#[derive(Debug)]
#[must_use = "nothing is decoded before `run`"]
pub struct Editing<'a> {
    model: &'a Model,
    codes: CodeStack,
    changes: Vec<([usize; 3], u32)>,
}

impl<'a> Editing<'a> {
    pub(super) fn new(model: &'a Model, codes: CodeStack) -> Self {
        Self { model, codes, changes: Vec::new() }
    }

    /// Changes the code at `place`, which is row, column and depth.
    pub fn set(mut self, place: [usize; 3], code: u32) -> Self {
        self.changes.push((place, code));
        self
    }

    /// The changed codes and their image.
    ///
    /// # Errors
    /// The codes are not the model's, a place is outside of them, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn run(self) -> Result<Coded> {
        pollster::block_on(self.run_with(&mut Task::unwatched()))
    }

    /// Like `run`, async.
    ///
    /// # Errors
    /// Those of `run`, or the task was stopped.
    pub async fn run_with(self, task: &mut Task<'_>) -> Result<Coded> {
        let Self { model, mut codes, changes } = self;
        for ([row, col, depth], code) in changes {
            codes.set(row, col, depth, code)?;
        }
        let pictures = decode(model.rqvae(), std::slice::from_ref(&codes), task).await?;
        Ok(Coded::new(&pictures[0], codes))
    }
}
