//! A batch of stacks in progress, for both kinds of models.

use burn::tensor::{Int, Tensor};

use crate::tensors::codes_from_tensor;
use residua_core::codes::CodeStack;
use residua_core::error::Result;

/// A batch that takes one pass through the model's body per step, so that it can be shown, stopped and
/// resumed.
pub trait Steps {
    /// Steps done.
    fn done(&self) -> usize;

    /// Total number of steps.
    fn total(&self) -> usize;

    /// Number of steps after which images have changed enough to be shown.
    fn shown_every(&self) -> usize;

    /// Runs the next step for every image; does nothing when all are done.
    fn step(&mut self);

    /// The codes of all images so far, `[B, h, w, D]`, on the device; code 0 where there is none yet.
    fn codes(&self) -> Tensor<4, Int>;

    /// Which cells are done, image by image.
    fn known(&self) -> Vec<bool>;

    /// Runs all remaining steps.
    fn finish(&mut self) {
        while self.done() < self.total() {
            self.step();
        }
    }

    /// The stacks of all images so far, read back in one transfer; code 0 where there is none yet.
    ///
    /// # Errors
    /// The device failed, or the model's logits are NaN.
    fn stacks(&self) -> impl Future<Output = Result<Vec<CodeStack>>> {
        codes_from_tensor(self.codes())
    }
}
