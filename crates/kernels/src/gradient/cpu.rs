//! Gradients on the CPU, with hand-written kernels.

use burn_flex::{Flex, FlexTensor};

use super::{Gradients, Norm, Resample};
use crate::cpu::conv2d_gradient::{bias_gradient, input_gradient};
use crate::cpu::conv2d_weights::weight_gradient;
use crate::cpu::group_norm_gradient::{NormShape, group_norm_gradient};
use crate::flex::{Contiguous, conv_shape, tensor};

impl Gradients for Flex {
    fn conv2d_input(x: FlexTensor, weight: FlexTensor, dy: FlexTensor, resample: Resample) -> FlexTensor {
        let (x, weight, dy) = (Contiguous::new(x), Contiguous::new(weight), Contiguous::new(dy));
        let shape = conv_shape(&x, &weight, resample);
        tensor(input_gradient(dy.values(), weight.values(), &shape), &x.dims)
    }

    fn conv2d_weight(x: FlexTensor, weight: FlexTensor, dy: FlexTensor, resample: Resample) -> FlexTensor {
        let (x, weight, dy) = (Contiguous::new(x), Contiguous::new(weight), Contiguous::new(dy));
        let shape = conv_shape(&x, &weight, resample);
        tensor(weight_gradient(x.values(), dy.values(), &shape), &weight.dims)
    }

    fn conv2d_bias(dy: FlexTensor) -> FlexTensor {
        let dy = Contiguous::new(dy);
        let [channels, spatial] = [dy.dims[1], dy.dims[2] * dy.dims[3]];
        tensor(bias_gradient(dy.values(), channels, spatial), &[channels])
    }

    fn group_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        dy: FlexTensor,
        norm: Norm,
    ) -> [FlexTensor; 3] {
        let [x, gamma, beta, dy] = [x, gamma, beta, dy].map(Contiguous::new);
        let Norm { groups, epsilon, silu } = norm;
        let (channels, spatial) = (x.dims[1], x.dims[2] * x.dims[3]);
        let shape = NormShape { channels, spatial, groups, epsilon, silu };
        let found = group_norm_gradient(x.values(), gamma.values(), beta.values(), dy.values(), &shape);
        [tensor(found.x, &x.dims), tensor(found.gamma, &[channels]), tensor(found.beta, &[channels])]
    }
}
