//! A linear layer with its activation or its residual.

use burn::backend::Dispatch;
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{DType, Tensor};

use super::flex::CpuKernels;
use super::{Activation, has_cpu_kernels};

/// `activation(x w^T + bias)`: `x` `[rows, in]`, `weight` `[out, in]` in f32 or f16, `bias` `[out]`; the result
/// is `[rows, out]`.
pub fn linear(x: Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Tensor<2> {
    if !has_cpu_kernels(&x.device()) {
        return composed(x, weight, bias, activation);
    }
    Tensor::from_dispatch(Dispatch::residua_linear(
        x.into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
        activation,
    ))
}

/// `x w^T + bias + residual`, shapes as in [`linear`], `residual` `[rows, out]`.
pub fn linear_onto(x: Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, residual: Tensor<2>) -> Tensor<2> {
    if !has_cpu_kernels(&x.device()) {
        return composed(x, weight, bias, Activation::None) + residual;
    }
    Tensor::from_dispatch(Dispatch::residua_linear_onto(
        x.into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
        residual.into_dispatch(),
    ))
}

/// [`linear`] of Burn's own operations.
pub fn composed(x: Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Tensor<2> {
    let weight = weight.clone().cast(DType::F32);
    let y = x.matmul(weight.transpose()) + bias.clone().unsqueeze();
    match activation {
        Activation::None => y,
        Activation::Gelu => gelu(y),
        Activation::QuickGelu => y.clone() * sigmoid(y * 1.702),
    }
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
        let activations = [Activation::None, Activation::Gelu, Activation::QuickGelu];
        for (rows, inputs, outputs) in [(1, 48, 96), (3, 33, 17), (8, 256, 64), (40, 65, 130)] {
            for (activation, dtype) in activations.into_iter().zip([DType::F32, DType::F16, DType::F16]) {
                let x = tensor([rows, inputs], 1, &device);
                let weight = tensor([outputs, inputs], 2, &device).cast(dtype);
                let bias = tensor([outputs], 3, &device);
                let residual = tensor([rows, outputs], 4, &device);
                let twin = composed(x.clone(), &weight, &bias, activation);
                assert_close(&values(linear(x.clone(), &weight, &bias, activation)), &values(twin), 1e-5);
                let twin = composed(x.clone(), &weight, &bias, Activation::None) + residual.clone();
                assert_close(&values(linear_onto(x, &weight, &bias, residual)), &values(twin), 1e-5);
            }
        }
    }
}
