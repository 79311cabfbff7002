//! A linear layer with its activation or its residual.

use burn::backend::Dispatch;
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{DType, Tensor};

use super::cube::{GpuKernels, decode_linear_fits};
use super::flex::CpuKernels;
use super::{Activation, GpuKernel, has_cpu_kernels};

/// `activation(x w^T + bias)`: `x` `[rows, in]`, `weight` `[out, in]` in f32 or f16, `bias` `[out]`; the result
/// is `[rows, out]`. On a GPU more than a few rows take Burn's matrix product.
pub fn linear(x: Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Tensor<2> {
    let kernel = match kernel_for(&x, weight) {
        Kernel::Cpu => <Dispatch as CpuKernels>::residua_linear,
        Kernel::Gpu => <Dispatch as GpuKernels>::residua_decode_linear,
        Kernel::None => return composed(x, weight, bias, activation),
    };
    let [weight, bias] = [weight.clone().into_dispatch(), bias.clone().into_dispatch()];
    Tensor::from_dispatch(kernel(x.into_dispatch(), weight, bias, activation))
}

/// `x w^T + bias + residual`, shapes as in [`linear`], `residual` `[rows, out]`.
pub fn linear_onto(x: Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, residual: Tensor<2>) -> Tensor<2> {
    let kernel = match kernel_for(&x, weight) {
        Kernel::Cpu => <Dispatch as CpuKernels>::residua_linear_onto,
        Kernel::Gpu => <Dispatch as GpuKernels>::residua_decode_linear_onto,
        Kernel::None => return composed(x, weight, bias, Activation::None) + residual,
    };
    let [weight, bias] = [weight.clone().into_dispatch(), bias.clone().into_dispatch()];
    Tensor::from_dispatch(kernel(x.into_dispatch(), weight, bias, residual.into_dispatch()))
}

/// Which kernel takes a layer.
enum Kernel {
    Cpu,
    Gpu,
    None,
}

fn kernel_for(x: &Tensor<2>, weight: &Tensor<2>) -> Kernel {
    let [rows, inputs] = x.dims();
    match has_cpu_kernels(&x.device()) {
        true => Kernel::Cpu,
        false if GpuKernel::DecodeLinear.is_on() && decode_linear_fits(rows, inputs, weight.dtype()) => {
            Kernel::Gpu
        }
        false => Kernel::None,
    }
}

/// [`linear`] of Burn's own operations.
pub fn composed(x: Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Tensor<2> {
    let y = x.matmul(widened(weight).transpose()) + bias.clone().unsqueeze();
    match activation {
        Activation::None => y,
        Activation::Gelu => gelu(y),
        Activation::QuickGelu => y.clone() * sigmoid(y * 1.702),
    }
}

/// `weight` in f32. Burn's own cast would need a GPU whose shaders know f16: without the kernel, no weights are loaded in
/// f16.
pub(super) fn widened(weight: &Tensor<2>) -> Tensor<2> {
    match weight.dtype() {
        DType::F16 if !has_cpu_kernels(&weight.device()) && GpuKernel::Widen.is_on() => {
            Tensor::from_dispatch(Dispatch::residua_widen(weight.clone().into_dispatch()))
        }
        _ => weight.clone().cast(DType::F32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceChoice, open};
    use crate::kernels::values;
    use crate::random::pcg4d;
    use crate::testing::{assert_close, tensor};
    use burn::tensor::{Device, TensorData};

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

    fn gpu() -> Device {
        open(DeviceChoice::Gpu).unwrap()
    }

    /// The same values on the GPU.
    fn moved<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
        Tensor::from_data(tensor.clone().into_data(), (&gpu(), tensor.dtype()))
    }

    /// Few rows and many, inputs and outputs in no proportion to the kernel's tiles, both types of weights.
    #[test]
    fn the_gpu_computes_what_the_cpu_computes() {
        let host = Device::flex();
        let activations = [Activation::None, Activation::Gelu, Activation::QuickGelu];
        for case in 0..72 {
            let size = |word, most: usize| 1 + pcg4d([case, word, 7, 7])[0] as usize % most;
            let rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 40][case as usize % 10];
            let multiple = [1, 2, 4, 4][size(0, 4) - 1];
            let (inputs, outputs) =
                (multiple * size(1, 200), size(2, if case % 9 == 0 { 3000 } else { 300 }));
            let dtype = [DType::F32, DType::F16][size(3, 2) - 1];
            let activation = activations[size(4, 3) - 1];
            println!("case {case}: {rows} x {inputs} to {outputs}, {dtype:?}, {activation:?}");
            let x = tensor([rows, inputs], case, &host) * 3.0;
            let weight = tensor([outputs, inputs], case + 100, &host).cast(dtype);
            let bias = tensor([outputs], case + 200, &host);
            let residual = tensor([rows, outputs], case + 300, &host);
            let (on_gpu, gpu_weight, gpu_bias) = (moved(&x), moved(&weight), moved(&bias));
            // The pool hands the memory of this tensor to the next of its size.
            drop(Tensor::<2>::full([rows, outputs], f32::NAN, &gpu()));
            let found = values(linear(on_gpu.clone(), &gpu_weight, &gpu_bias, activation));
            assert_close(&found, &values(linear(x.clone(), &weight, &bias, activation)), 1e-4);
            let expected = values(linear_onto(x, &weight, &bias, residual.clone()));
            let gpu_residual = moved(&residual);
            let found = linear_onto(on_gpu.clone(), &gpu_weight, &gpu_bias, gpu_residual.clone());
            assert_close(&values(found), &expected, 1e-4);
            assert_eq!(values(gpu_residual.clone()), values(residual));
            assert_close(&values(linear_onto(on_gpu, &gpu_weight, &gpu_bias, gpu_residual)), &expected, 1e-4);
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_rows_beside_it() {
        const OUTPUTS: usize = 2077;
        for (inputs, dtype) in [(1024, DType::F32), (333, DType::F32), (1024, DType::F16), (334, DType::F16)]
        {
            let host = Device::flex();
            let weight = moved(&tensor([OUTPUTS, inputs], 1, &host).cast(dtype));
            let bias = moved(&tensor([OUTPUTS], 2, &host));
            let x: Tensor<2> = moved(&tensor([8, inputs], 3, &host));
            let all = values(linear(x.clone(), &weight, &bias, Activation::Gelu));
            for rows in 1..8 {
                let part = x.clone().slice([8 - rows..8, 0..inputs]);
                let part = values(linear(part, &weight, &bias, Activation::Gelu));
                assert_eq!(part, all[(8 - rows) * OUTPUTS..], "{rows} rows of {inputs}, {dtype:?}");
            }
        }
    }

    /// More workgroups than one dimension of a launch holds.
    #[test]
    fn a_layer_of_very_many_outputs_is_computed_on_the_gpu() {
        let host = Device::flex();
        let outputs = 2_200_000;
        let (x, weight, bias) =
            (tensor([1, 1], 1, &host), tensor([outputs, 1], 2, &host), tensor([outputs], 3, &host));
        let found = values(linear(moved(&x), &moved(&weight), &moved(&bias), Activation::None));
        assert_close(&found, &values(linear(x, &weight, &bias, Activation::None)), 1e-4);
    }

    /// The residual's buffer serves for the result only where nothing else needs it.
    #[test]
    fn a_residual_may_be_the_input() {
        let host = Device::flex();
        let (x, weight, bias) =
            (tensor([3, 70], 1, &host), tensor([70, 70], 2, &host), tensor([70], 3, &host));
        let on_gpu = moved(&x);
        let found = linear_onto(on_gpu.clone(), &moved(&weight), &moved(&bias), on_gpu.clone());
        assert_close(&values(found), &values(linear_onto(x.clone(), &weight, &bias, x.clone())), 1e-4);
        assert_eq!(values(on_gpu), values(x));
    }

    /// The activations by themselves: a layer whose only weight is 1.
    #[test]
    fn activations_on_the_gpu_are_exact() {
        let x: Vec<f32> =
            (-3000..=3000).map(|i| i as f32 / 200.0).chain([-1e4, -150.0, 150.0, 1e4]).collect();
        let one = Tensor::<2>::ones([1, 1], &gpu());
        let outputs = x.len();
        let bias = Tensor::<1>::from_data(TensorData::new(x.clone(), [outputs]), &gpu());
        let zeros = Tensor::<2>::zeros([outputs, 1], &gpu());
        for activation in [Activation::Gelu, Activation::QuickGelu] {
            let found = values(linear(one.clone(), &zeros, &bias, activation));
            for (&x, &y) in x.iter().zip(&found) {
                let exact = match activation {
                    Activation::Gelu => f64::from(x) * normal_distribution(f64::from(x)),
                    _ => f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp()),
                };
                let error = (f64::from(y) - exact).abs() / f64::from(x).abs().max(1.0);
                assert!(error < 3e-7, "{activation:?} of {x}: {y}, not {exact}");
            }
        }
    }

    /// Phi, by Marsaglia's series; the tail is below 1e-11 from 7 on.
    fn normal_distribution(x: f64) -> f64 {
        if x.abs() > 7.0 {
            return if x > 0.0 { 1.0 } else { 0.0 };
        }
        let (mut sum, mut term) = (x, x);
        for i in 1..200 {
            term *= x * x / f64::from(2 * i + 1);
            sum += term;
        }
        0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }
}
