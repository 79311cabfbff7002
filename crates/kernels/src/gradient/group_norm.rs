//! Group norm, with or without SiLU, as a single autodiff operation.

use burn::backend::tensor::FloatTensor;

use super::step::Step;
use super::{Gradients, Norm};

impl<B: Gradients> Step<B, 3> for Norm {
    fn forward(&self, [x, gamma, beta]: [FloatTensor<B>; 3]) -> FloatTensor<B> {
        B::residua_group_norm(x, gamma, beta, *self)
    }

    fn backward(
        &self,
        [x, gamma, beta]: [FloatTensor<B>; 3],
        dy: FloatTensor<B>,
        _: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        B::group_norm(x, gamma, beta, dy, *self).map(Some)
    }
}
