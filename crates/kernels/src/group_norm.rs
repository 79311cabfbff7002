//! Group normalization, optionally followed by SiLU.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use burn::tensor::activation::silu as burn_silu;

use super::GpuKernel;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};

/// Settings of [`group_norm`].
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// Normalizes `x` `[B, C, H, W]` within `groups` groups of channels, scales by `gamma` and shifts by `beta`
/// (`[C]` each), and applies SiLU if `silu` is set. The result has the shape of `x`.
pub fn group_norm(
    x: Tensor<4>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    groups: usize,
    epsilon: f32,
    silu: bool,
) -> Tensor<4> {
    match route(&x.device(), Some(GpuKernel::GroupNorm.into()), Gradient::Everywhere) {
        Route::Kernel => {
            let [gamma, beta] = [gamma, beta].map(|scale| scale.clone().into_dispatch());
            let norm = Norm { groups, epsilon, silu };
            Tensor::from_dispatch(Dispatch::residua_group_norm(x.into_dispatch(), gamma, beta, norm))
        }
        Route::Composed => composed(x, gamma, beta, groups, epsilon, silu),
    }
}

/// The same, built from Burn's own operations.
pub fn composed(
    x: Tensor<4>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    groups: usize,
    epsilon: f32,
    silu: bool,
) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let grouped = x.reshape([b, groups, c / groups * h * w]);
    let centred = grouped.clone() - grouped.mean_dim(2);
    let variance = centred.clone().powi_scalar(2).mean_dim(2);
    let normalized = (centred / (variance + epsilon).sqrt()).reshape([b, c, h, w]);
    let y = normalized * gamma.clone().reshape([1, c, 1, 1]) + beta.clone().reshape([1, c, 1, 1]);
    if silu { burn_silu(y) } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::values;
    use burn::tensor::Device;
    use residua_core::random::uniform;
    use residua_testing::{assert_close, poison, tensor};

    /// Compares the GPU's result for `x scale + offset` with the CPU's.
    fn compare(dims: [usize; 4], groups: usize, [scale, offset]: [f32; 2], silu: bool, tolerance: f32) {
        let on = |device: &Device| {
            let x = tensor(dims, 1, device) * scale + offset;
            let (gamma, beta) = (tensor([dims[1]], 2, device), tensor([dims[1]], 3, device));
            poison(dims, device);
            values(group_norm(x, &gamma, &beta, groups, 1e-6, silu))
        };
        println!("{dims:?} in {groups} groups, {scale} x + {offset}, SiLU {silu}");
        assert_close(&on(&gpu()), &on(&Device::flex()), tolerance);
    }

    #[test]
    fn gpu_and_cpu_agree_on_random_shapes() {
        for case in 0..60 {
            let pick = |word: u32, most: u32| 1 + (uniform([case, word, 7, 4]) * most as f32) as usize;
            let groups = [1, 2, 5, 32][case as usize % 4];
            let dims = [pick(0, 3), groups * pick(1, 3), pick(2, 40), pick(3, 40)];
            compare(dims, groups, [3.0, 1.0], case % 2 == 0, 1e-4);
        }
    }

    /// Groups of several parts, groups of more parts than a workgroup has threads, and more groups than fit
    /// in one launch dimension.
    #[test]
    fn gpu_and_cpu_agree_on_many_parts_and_groups() {
        compare([1, 64, 101, 103], 32, [3.0, 1.0], true, 1e-4);
        compare([1, 2, 1300, 1001], 1, [3.0, 1.0], true, 1e-4);
        compare([2063, 32, 1, 2], 32, [3.0, 1.0], false, 1e-4);
    }

    /// Rounding such an `x` alone costs about 2e-3.
    #[test]
    fn a_large_mean_does_not_swallow_the_variance() {
        compare([1, 4, 128, 128], 2, [0.01, 100.0], false, 2e-3);
    }

    #[test]
    fn silu_is_right_at_the_extremes() {
        compare([1, 2, 1, 512], 1, [0.0, 5.0], true, 1e-4);
        let device = gpu();
        let x = tensor([1, 1, 64, 64], 1, &device);
        let (gamma, beta) = (Tensor::full([1], 200.0, &device), Tensor::zeros([1], &device));
        let y = values(group_norm(x.clone(), &gamma, &beta, 1, 1e-6, true));
        assert_close(&y, &values(composed(x, &gamma, &beta, 1, 1e-6, true)), 1e-5);
        assert!(y.iter().all(|y| *y > -0.3), "SiLU is never below -0.28");
    }

    #[test]
    fn the_kernel_matches_burn() {
        let device = Device::flex();
        for (dims, silu) in [([2, 32, 3, 5], false), ([1, 64, 16, 16], true), ([3, 96, 1, 1], true)] {
            let x = tensor(dims, 1, &device) * 3.0 + 1.0;
            let (gamma, beta) = (tensor([dims[1]], 2, &device), tensor([dims[1]], 3, &device));
            let kernel = group_norm(x.clone(), &gamma, &beta, 32, 1e-6, silu);
            assert_close(&values(kernel), &values(composed(x, &gamma, &beta, 32, 1e-6, silu)), 1e-5);
        }
    }
}
