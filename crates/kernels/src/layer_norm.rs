//! Layer normalization over the last dimension.

use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

use super::GpuKernel;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};

/// Normalizes each row of `x` `[rows, C]`, scales by `gamma` and shifts by `beta` (`[C]` each).
pub fn layer_norm(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    match route(&x.device(), Some(GpuKernel::LayerNorm.into()), Gradient::OnCpu) {
        Route::Kernel => {
            let [gamma, beta] = [gamma, beta].map(|scale| scale.clone().into_dispatch());
            Tensor::from_dispatch(Dispatch::residua_layer_norm(x.into_dispatch(), gamma, beta, epsilon))
        }
        Route::Composed => composed(x, gamma, beta, epsilon),
    }
}

/// The same with Burn's own operation.
pub fn composed(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    module::layer_norm(x, gamma.clone(), Some(beta.clone()), f64::from(epsilon))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::values;
    use burn::tensor::Device;
    use residua_testing::{assert_close, tensor};

    #[test]
    fn the_kernels_match_burn() {
        let (host, gpu) = (Device::flex(), gpu());
        for dims in [[1, 48], [7, 33], [64, 1024], [3, 1], [9, 257], [2, 1536], [660, 3]] {
            let made = |device| {
                let x = tensor(dims, 1, device) * 2.0 - 0.5;
                (x, tensor([dims[1]], 2, device), tensor([dims[1]], 3, device))
            };
            let (x, gamma, beta) = made(&host);
            let twin = values(composed(x.clone(), &gamma, &beta, 1e-5));
            assert_close(&values(layer_norm(x, &gamma, &beta, 1e-5)), &twin, 1e-5);
            let (x, gamma, beta) = made(&gpu);
            drop(Tensor::<2>::full(dims, f32::NAN, &gpu));
            assert_close(&values(layer_norm(x, &gamma, &beta, 1e-5)), &twin, 1e-5);
        }
    }
}
