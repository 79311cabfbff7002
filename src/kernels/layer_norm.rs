//! Layer normalization over the last dimension.

use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

use super::flex::CpuKernels;
use super::has_cpu_kernels;

/// Normalizes each row of `x` `[rows, C]`, scales by `gamma` and shifts by `beta` (`[C]` each).
pub fn layer_norm(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    if !has_cpu_kernels(&x.device()) {
        return composed(x, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(Dispatch::residua_layer_norm(
        x.into_dispatch(),
        gamma.clone().into_dispatch(),
        beta.clone().into_dispatch(),
        epsilon,
    ))
}

/// The same by Burn's own operation.
pub fn composed(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    module::layer_norm(x, gamma.clone(), Some(beta.clone()), f64::from(epsilon))
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
        for dims in [[1, 48], [7, 33], [64, 1024]] {
            let x = tensor(dims, 1, &device) * 2.0 - 0.5;
            let (gamma, beta) = (tensor([dims[1]], 2, &device), tensor([dims[1]], 3, &device));
            let kernel = layer_norm(x.clone(), &gamma, &beta, 1e-5);
            assert_close(&values(kernel), &values(composed(x, &gamma, &beta, 1e-5)), 1e-5);
        }
    }
}
