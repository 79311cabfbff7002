//! Layer normalization over the last dimension.

use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

use super::cube::GpuKernels;
use super::flex::CpuKernels;
#[cfg(not(target_family = "wasm"))]
use super::gradient::transformer::{has_transformer_steps, layer_norm_recorded};
use super::{GpuKernel, has_cpu_kernels, has_gpu_kernel};

/// Normalizes each row of `x` `[rows, C]`, scales by `gamma` and shifts by `beta` (`[C]` each).
pub fn layer_norm(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    #[cfg(not(target_family = "wasm"))]
    if has_transformer_steps(&x.device()) {
        return layer_norm_recorded(x, gamma, beta, epsilon);
    }
    let kernel = match has_cpu_kernels(&x.device()) {
        true => <Dispatch as CpuKernels>::residua_layer_norm,
        false if has_gpu_kernel(GpuKernel::LayerNorm, &x.device()) => {
            <Dispatch as GpuKernels>::residua_row_norm
        }
        false => return composed(x, gamma, beta, epsilon),
    };
    let [gamma, beta] = [gamma.clone().into_dispatch(), beta.clone().into_dispatch()];
    Tensor::from_dispatch(kernel(x.into_dispatch(), gamma, beta, epsilon))
}

/// The same with Burn's own operation.
pub fn composed(x: Tensor<2>, gamma: &Tensor<1>, beta: &Tensor<1>, epsilon: f32) -> Tensor<2> {
    module::layer_norm(x, gamma.clone(), Some(beta.clone()), f64::from(epsilon))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceChoice, open};
    use crate::values;
    use burn::tensor::Device;
    use residua_testing::{assert_close, tensor};

    #[test]
    fn the_kernels_match_burn() {
        let (host, gpu) = (Device::flex(), open(DeviceChoice::Gpu).unwrap());
        for dims in [[1, 48], [7, 33], [64, 1024], [3, 1], [9, 257], [2, 1536], [66_000, 3]] {
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
