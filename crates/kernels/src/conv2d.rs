//! Convolution as used by RQ-VAE: 1x1 or 3x3, with its padding and resampling.

use burn::backend::Dispatch;
use burn::tensor::module::conv2d as burn_conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Slice, Tensor};

use super::Resample;
use super::cube::conv2d_variants;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};

/// Convolves `x` `[B, in, H, W]` with `weight` `[out, in, k, k]`, k 1 or 3, and adds `bias` `[out]`.
///
/// The result is `[B, out, H', W']`: as large as `x`, half as large or twice as large, depending on
/// `resample`.
pub fn conv2d(x: Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, resample: Resample) -> Tensor<4> {
    let variants = conv2d_variants(x.dims(), weight.dims(), resample);
    match route(&x.device(), variants, Gradient::Everywhere) {
        Route::Kernel => {
            let (weight, bias) = (weight.clone().into_dispatch(), bias.clone().into_dispatch());
            Tensor::from_dispatch(Dispatch::residua_conv2d(x.into_dispatch(), weight, bias, resample))
        }
        Route::Composed => composed(x, weight, bias, resample),
    }
}

/// The same, built from Burn's own operations.
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
    let [images, channels, height, width] = x.dims();
    let blocks = x.reshape([images, channels, height, 1, width, 1]);
    blocks.expand([images, channels, height, 2, width, 2]).reshape([images, channels, 2 * height, 2 * width])
}

/// The mean of each 2x2 block of `x` `[B, C, H, W]`: `[B, C, H / 2, W / 2]`. Drops the last row or column if
/// their number is odd.
pub fn downsample(x: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = x.dims().map(|size| size as isize / 2 * 2);
    let cells = |row, column| {
        let [rows, columns] = [Slice::new(row, Some(height), 2), Slice::new(column, Some(width), 2)];
        x.clone().slice([Slice::full(), Slice::full(), rows, columns])
    };
    (cells(0, 0) + cells(0, 1) + cells(1, 0) + cells(1, 1)) / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::values;
    use burn::tensor::Device;
    use burn::tensor::module::{avg_pool2d, interpolate};
    use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions};
    use residua_core::random::uniform;
    use residua_testing::{assert_close, poison, tensor};

    /// Compares the GPU's result with the CPU's.
    fn compare(resample: Resample, k: usize, dims: [usize; 4], out: usize) {
        let on = |device: &Device| {
            let x = tensor(dims, 1, device);
            let (weight, bias) = (tensor([out, dims[1], k, k], 2, device), tensor([out], 3, device));
            poison([dims[0], out, resample.size(dims[2]), resample.size(dims[3])], device);
            conv2d(x, &weight, &bias, resample)
        };
        let (found, expected) = (on(&gpu()), on(&Device::flex()));
        println!("{resample:?} {k}x{k} {dims:?} to {out} channels");
        assert_eq!(found.dims(), expected.dims());
        assert_close(&values(found), &values(expected), 1e-4);
    }

    #[test]
    fn gpu_and_cpu_agree_on_random_shapes() {
        const KINDS: [(Resample, usize); 4] =
            [(Resample::Same, 3), (Resample::Same, 1), (Resample::Down, 3), (Resample::Up, 3)];
        for case in 0..120 {
            let pick = |word: u32, most: u32| 1 + (uniform([case, word, 7, 3]) * most as f32) as usize;
            let (resample, k) = KINDS[case as usize % 4];
            let least = if resample == Resample::Down { 1 } else { 0 };
            let out = if case % 3 == 0 { pick(4, 5) } else { pick(4, 70) };
            compare(resample, k, [pick(0, 3), pick(1, 70), least + pick(2, 37), least + pick(3, 37)], out);
        }
    }

    /// Images of many blocks.
    #[test]
    fn gpu_and_cpu_agree_on_many_workgroups() {
        compare(Resample::Same, 3, [1, 5, 70, 131], 130);
        compare(Resample::Up, 3, [2, 9, 35, 34], 67);
        compare(Resample::Same, 3, [660, 1, 1, 2], 1);
        compare(Resample::Same, 1, [1, 1, 205, 205], 1);
    }

    /// More work than one launch may have.
    #[test]
    fn gpu_and_cpu_agree_on_several_launches() {
        compare(Resample::Same, 3, [1, 64, 40, 40], 64);
        compare(Resample::Down, 3, [1, 64, 80, 81], 64);
    }

    #[test]
    fn slices_and_transposes_are_read_correctly() {
        let device = gpu();
        let x = tensor([2, 6, 9, 7], 1, &device);
        let (weight, bias) = (tensor([5, 3, 3, 3], 2, &device), tensor([5], 3, &device));
        let part = x.clone().slice([1..2, 2..5, 0..9, 0..7]);
        let expected = values(conv2d(part.clone() + 0.0, &weight, &bias, Resample::Same));
        assert_eq!(values(conv2d(part.clone(), &weight, &bias, Resample::Same)), expected);
        let turned = (part.swap_dims(2, 3) + 0.0).swap_dims(2, 3);
        let weight = (weight.swap_dims(0, 1) + 0.0).swap_dims(0, 1);
        assert_eq!(values(conv2d(turned, &weight, &bias, Resample::Same)), expected);
    }

    #[test]
    fn resampling_matches_burn() {
        let halved = AvgPoolOptions::new([2, 2]).with_stride([2, 2]);
        let doubled = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
        for dims in [[2, 3, 8, 6], [1, 2, 9, 5], [1, 1, 2, 3]] {
            let x = tensor(dims, 1, &Device::flex());
            let smaller = values(avg_pool2d(x.clone(), halved.clone()));
            let larger = values(interpolate(x, doubled.clone()));
            for device in [Device::flex(), gpu()] {
                let x = tensor(dims, 1, &device);
                assert_eq!(values(downsample(x.clone())), smaller, "{dims:?}");
                assert_eq!(values(upsample(x)), larger, "{dims:?}");
            }
        }
    }

    #[test]
    fn the_kernel_matches_burn() {
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
