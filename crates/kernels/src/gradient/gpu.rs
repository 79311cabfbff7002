//! Gradients on a GPU, built from Burn's own operations.

use burn::backend::ops::{ActivationOps, FloatTensorOps, ModuleOps};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::{Gradients, Norm, Resample};

type B = CubeBackend;

impl Gradients for CubeBackend {
    fn conv2d_input(x: CubeTensor, weight: CubeTensor, dy: CubeTensor, resample: Resample) -> CubeTensor {
        let (dims, options) = (dims(&x), options(&weight, resample));
        let seen = seen(x, resample);
        let gradient = B::conv2d_x_backward(seen, weight, dy, options);
        match resample {
            Resample::Up => block_sums(gradient, dims),
            Resample::Same | Resample::Down => gradient,
        }
    }

    fn conv2d_weight(x: CubeTensor, weight: CubeTensor, dy: CubeTensor, resample: Resample) -> CubeTensor {
        let options = options(&weight, resample);
        B::conv2d_weight_backward(seen(x, resample), weight, dy, options)
    }

    fn conv2d_bias(dy: CubeTensor) -> CubeTensor {
        by_channel(dy)
    }

    fn group_norm(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        dy: CubeTensor,
        norm: Norm,
    ) -> [CubeTensor; 3] {
        let [images, channels, height, width] = dims(&x);
        let whole = Shape::new([images, channels, height, width]);
        let grouped = Shape::new([images, norm.groups, channels / norm.groups * height * width]);
        let each_channel = |values| B::float_reshape(values, Shape::new([1, channels, 1, 1]));
        let x = B::float_reshape(x, grouped.clone());
        let centred = B::float_sub(x.clone(), B::float_mean_dim(x, 2));
        let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 2);
        let inverse = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, norm.epsilon.into())));
        let normal = B::float_mul(centred, inverse.clone());
        let normal_pixels = B::float_reshape(normal.clone(), whole.clone());
        let gamma = each_channel(gamma);
        let dy = if norm.silu {
            let y = B::float_add(B::float_mul(normal_pixels.clone(), gamma.clone()), each_channel(beta));
            before_silu(y, dy)
        } else {
            dy
        };
        let for_gamma = by_channel(B::float_mul(dy.clone(), normal_pixels));
        let for_normal = B::float_reshape(B::float_mul(dy.clone(), gamma), grouped);
        let slope = B::float_mean_dim(B::float_mul(for_normal.clone(), normal.clone()), 2);
        let shift = B::float_mean_dim(for_normal.clone(), 2);
        let for_x = B::float_sub(B::float_sub(for_normal, shift), B::float_mul(normal, slope));
        [B::float_reshape(B::float_mul(for_x, inverse), whole), for_gamma, by_channel(dy)]
    }
}

fn dims(tensor: &CubeTensor) -> [usize; 4] {
    tensor.meta.shape().dims()
}

/// The input of the plain convolution: `x`, upsampled for `Up`.
fn seen(x: CubeTensor, resample: Resample) -> CubeTensor {
    let [images, channels, height, width] = dims(&x);
    match resample {
        Resample::Up => {
            let cells = B::float_reshape(x, Shape::new([images, channels, height, 1, width, 1]));
            let blocks = B::float_expand(cells, Shape::new([images, channels, height, 2, width, 2]));
            B::float_reshape(blocks, Shape::new([images, channels, 2 * height, 2 * width]))
        }
        Resample::Same | Resample::Down => x,
    }
}

/// Stride and padding of that convolution.
fn options(weight: &CubeTensor, resample: Resample) -> ConvOptions<2> {
    let half = dims(weight)[2] / 2;
    let (stride, padding) = match resample {
        Resample::Same | Resample::Up => (1, (half, half)),
        Resample::Down => (2, (0, 1)),
    };
    ConvOptions::new_with_padding([stride; 2], [padding; 2], [1, 1], 1)
}

/// The sum of each 2x2 block of pixels. The result has the given dimensions, `large` twice the height and
/// width.
fn block_sums(large: CubeTensor, [images, channels, height, width]: [usize; 4]) -> CubeTensor {
    let blocks = B::float_reshape(large, Shape::new([images, channels, height, 2, width, 2]));
    let sums = B::float_sum_dim(B::float_sum_dim(blocks, 5), 3);
    B::float_reshape(sums, Shape::new([images, channels, height, width]))
}

/// The sum over all dimensions except the channels.
fn by_channel(pixels: CubeTensor) -> CubeTensor {
    let [images, channels, height, width] = dims(&pixels);
    let planes =
        B::float_sum_dim(B::float_reshape(pixels, Shape::new([images, channels, height * width])), 2);
    B::float_reshape(B::float_sum_dim(planes, 0), Shape::new([channels]))
}

/// The gradient of `y`, from the gradient `dy` of `y sigmoid(y)`.
fn before_silu(y: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let sigmoid = B::sigmoid(y.clone());
    let rest = B::float_add_scalar(B::float_neg(sigmoid.clone()), 1.0.into());
    let slope = B::float_mul(sigmoid, B::float_add_scalar(B::float_mul(y, rest), 1.0.into()));
    B::float_mul(dy, slope)
}
