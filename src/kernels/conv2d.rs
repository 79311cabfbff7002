//! Convolution as RQ-VAE uses it: 1x1 or 3x3, with its padding and its resampling.

use burn::backend::Dispatch;
use burn::tensor::module::{conv2d as burn_conv2d, interpolate};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, ops::PadMode};

use super::flex::CpuKernels;
use super::{Resample, has_cpu_kernels};

/// Convolves `x` `[B, in, H, W]` with `weight` `[out, in, k, k]`, k 1 or 3, and adds `bias` `[out]`.
///
/// The result is `[B, out, H', W']`: as large as `x`, half, or twice as large, as `resample` says.
pub fn conv2d(x: Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, resample: Resample) -> Tensor<4> {
    if !has_cpu_kernels(&x.device()) {
        return composed(x, weight, bias, resample);
    }
    Tensor::from_dispatch(Dispatch::residua_conv2d(
        x.into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
        resample,
    ))
}

/// The same of Burn's own operations.
pub fn composed(x: Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, resample: Resample) -> Tensor<4> {
    let half = weight.dims()[2] / 2;
    let (x, stride, padding) = match resample {
        Resample::Same => (x, 1, half),
        Resample::Down => (x.pad((0, 1, 0, 1), PadMode::Constant(0.0)), 2, 0),
        Resample::Up => (upsample(x), 1, half),
    };
    let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
    burn_conv2d(x, weight.clone(), Some(bias.clone()), options)
}

/// Each cell of `x` `[B, C, H, W]` as a 2x2 block: `[B, C, 2H, 2W]`.
pub fn upsample(x: Tensor<4>) -> Tensor<4> {
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;
    use crate::testing::{assert_close, tensor};
    use burn::tensor::Device;

    #[test]
    fn the_kernel_equals_burns_operation() {
        let device = Device::flex();
        let cases = [
            (Resample::Same, 3, [2, 5, 7, 9], 6),
            (Resample::Same, 1, [1, 33, 8, 8], 17),
            (Resample::Same, 3, [1, 32, 32, 32], 32),
            (Resample::Down, 3, [2, 8, 10, 12], 7),
            (Resample::Up, 3, [1, 16, 9, 5], 12),
            (Resample::Up, 3, [1, 32, 16, 16], 32),
        ];
        for (resample, k, [b, c, h, w], out) in cases {
            let x = tensor([b, c, h, w], 1, &device);
            let (weight, bias) = (tensor([out, c, k, k], 2, &device), tensor([out], 3, &device));
            let kernel = conv2d(x.clone(), &weight, &bias, resample);
            let twin = composed(x, &weight, &bias, resample);
            assert_eq!(kernel.dims(), twin.dims());
            assert_close(&values(kernel), &values(twin), 2e-5);
        }
    }
}
