//! Group normalization, with SiLU after it where asked for.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use burn::tensor::activation::silu as burn_silu;

use super::flex::CpuKernels;
use super::has_cpu_kernels;

/// Normalizes `x` `[B, C, H, W]` within `groups` groups of channels, scales by `gamma` and shifts by `beta`
/// (`[C]` each), and applies SiLU if `silu` says so. The shape stays.
pub fn group_norm(
    x: Tensor<4>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    groups: usize,
    epsilon: f32,
    silu: bool,
) -> Tensor<4> {
    if !has_cpu_kernels(&x.device()) {
        return composed(x, gamma, beta, groups, epsilon, silu);
    }
    Tensor::from_dispatch(Dispatch::residua_group_norm(
        x.into_dispatch(),
        gamma.clone().into_dispatch(),
        beta.clone().into_dispatch(),
        groups,
        epsilon,
        silu,
    ))
}

/// The same of Burn's own operations.
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
    use crate::kernels::values;
    use crate::testing::{assert_close, tensor};
    use burn::tensor::Device;

    #[test]
    fn the_kernel_equals_burns_operations() {
        let device = Device::flex();
        for (dims, silu) in [([2, 32, 3, 5], false), ([1, 64, 16, 16], true), ([3, 96, 1, 1], true)] {
            let x = tensor(dims, 1, &device) * 3.0 + 1.0;
            let (gamma, beta) = (tensor([dims[1]], 2, &device), tensor([dims[1]], 3, &device));
            let kernel = group_norm(x.clone(), &gamma, &beta, 32, 1e-6, silu);
            assert_close(&values(kernel), &values(composed(x, &gamma, &beta, 32, 1e-6, silu)), 1e-5);
        }
    }
}
