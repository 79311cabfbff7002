//! Convolution as a single autodiff operation.

use burn::backend::tensor::FloatTensor;

use super::step::Step;
use super::{Gradients, Resample};

/// The operation.
#[derive(Clone, Debug)]
pub(super) struct Conv2d(pub Resample);

impl<B: Gradients> Step<B, 3> for Conv2d {
    fn forward(&self, [x, weight, bias]: [FloatTensor<B>; 3]) -> FloatTensor<B> {
        B::residua_conv2d(x, weight, bias, self.0)
    }

    fn backward(
        &self,
        [x, weight, _]: [FloatTensor<B>; 3],
        dy: FloatTensor<B>,
        [for_x, for_weight, for_bias]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let bias = for_bias.then(|| B::conv2d_bias(dy.clone()));
        let of_weight = for_weight.then(|| B::conv2d_weight(x.clone(), weight.clone(), dy.clone(), self.0));
        [for_x.then(|| B::conv2d_input(x, weight, dy, self.0)), of_weight, bias]
    }
}
