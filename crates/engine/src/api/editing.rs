//! Changes of codes.

use super::{CodeStack, Coded, Model, Recipe, Result, Task};
use crate::reconstruct::decode;

/// Changes of an image's codes; see [`Model::edit`].
///
/// ```
/// # use residua_engine::api::{CodeStack, Error, Model, Task};
/// # pollster::block_on(async {
/// let model = Model::load("characters-128")?;
/// let codes = CodeStack::new(8, 8, 4, vec![0; 256])?;
/// let editing = model.edit(&codes).set([4, 4, 0], 17).set([4, 4, 1], 3);
/// let edited = editing.run_with(&mut Task::unwatched()).await?;
/// assert_eq!(edited.codes.at(4, 4, 1)?, 3);
/// // Without a runtime, `run` waits for the result.
/// assert_eq!(model.edit(&edited.codes).run()?.image, edited.image);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
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
    /// The codes are not the model's, a place is outside of them, the weights cannot be read, or the device failed.
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
        let recipe = Some(Recipe::new("edit", model.stage1().id()?, None));
        Ok(Coded { image: pictures[0].to_rgb8(), codes, recipe })
    }
}
