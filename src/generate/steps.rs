//! A batch of stacks under way, whichever model makes it.

use burn::tensor::{Int, Tensor};

use super::session::read_stacks;
use crate::codes::CodeStack;
use crate::error::Result;

/// A batch that takes one pass through the body of the model a step, so that it can be shown, stopped and taken up again.
pub trait Steps {
    /// Steps done.
    fn done(&self) -> usize;

    /// Steps in all.
    fn total(&self) -> usize;

    /// Steps after which a picture has changed enough to be shown.
    fn shown_every(&self) -> usize;

    /// Takes the next step for every image; does nothing when all are done.
    fn step(&mut self);

    /// The codes of all images so far, `[B, h, w, D]`, on the device; code 0 in the cells to come.
    fn codes(&self) -> Tensor<4, Int>;

    /// Which cells have their codes, of each image in turn.
    fn known(&self) -> Vec<bool>;

    /// Takes all steps that are left.
    fn finish(&mut self) {
        while self.done() < self.total() {
            self.step();
        }
    }

    /// The stacks of all images so far, read back at once; code 0 in the cells to come.
    ///
    /// # Errors
    /// The device failed, or the model gives no numbers.
    fn stacks(&self) -> impl Future<Output = Result<Vec<CodeStack>>> {
        read_stacks(self.codes())
    }
}
