//! A linear layer with an activation or a residual.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, sigmoid};

use super::cube::{few_rows_variant, linear_variant};
#[cfg(not(target_family = "wasm"))]
use super::gradient::transformer::{self, has_transformer_steps};
use super::layer_norm::layer_norm;
use super::matmul::matmul;
use super::operations::Kernels;
use super::route::{Gradient, Route, has_gpu_kernel, route};
use super::{Activation, GpuKernel, Weights};
use crate::device::is_cpu;

/// `activation(x w^T + bias)`: `x` `[rows, in]`, `weights` `[out, in]`, `bias` `[out]`; the result is
/// `[rows, out]`. On a GPU, more than 256 rows (on a software rasterizer, more than 8) go through [`matmul`].
pub fn linear(x: Tensor<2>, weights: &Weights, bias: &Tensor<1>, activation: Activation) -> Tensor<2> {
    layer(x, weights, bias, activation, None)
}

/// `x w^T + bias + residual`. Shapes are as in [`linear`], and `residual` is `[rows, out]`.
pub fn linear_onto(x: Tensor<2>, weights: &Weights, bias: &Tensor<1>, residual: Tensor<2>) -> Tensor<2> {
    layer(x, weights, bias, Activation::None, Some(residual))
}

/// [`linear`] of `x` after [`layer_norm`] with `gamma` and `beta`, `[in]` each.
pub fn normed_linear(
    x: Tensor<2>,
    [gamma, beta]: [&Tensor<1>; 2],
    epsilon: f32,
    weights: &Weights,
    bias: &Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    let ([rows, inputs], device) = (x.dims(), x.device());
    let variant = few_rows_variant(GpuKernel::NormedLinear, rows, inputs, weights.dtype(), weights.outputs());
    // A CPU has nothing to launch, so there the two are as fast.
    let serves = !is_cpu(&device) && variant.is_some_and(|variant| has_gpu_kernel(variant, &device));
    if !serves {
        return linear(layer_norm(x, gamma, beta, epsilon), weights, bias, activation);
    }
    let [gamma, beta, bias] = [gamma, beta, bias].map(|values| values.clone().into_dispatch());
    let (x, weights) = (x.into_dispatch(), weights.stored());
    Tensor::from_dispatch(Dispatch::residua_normed_linear(x, gamma, beta, epsilon, weights, bias, activation))
}

/// `activation(x w^T + bias)`, plus the residual if there is one.
fn layer(
    x: Tensor<2>,
    weights: &Weights,
    bias: &Tensor<1>,
    activation: Activation,
    residual: Option<Tensor<2>>,
) -> Tensor<2> {
    let [rows, inputs] = x.dims();
    let variant = linear_variant(rows, inputs, weights.dtype(), weights.outputs());
    if route(&x.device(), variant, Gradient::Nowhere) == Route::Kernel {
        let (x, bias) = (x.into_dispatch(), bias.clone().into_dispatch());
        let y = Dispatch::residua_linear(x, weights.stored(), bias, activation, residual.into());
        return Tensor::from_dispatch(y);
    }
    let y = composed(x, weights, bias, activation);
    match residual {
        Some(residual) => y + residual,
        None => y,
    }
}

/// [`linear`] built from a matrix product and Burn's own operations.
pub fn composed(x: Tensor<2>, weights: &Weights, bias: &Tensor<1>, activation: Activation) -> Tensor<2> {
    let y = matmul(x, weights.single().transpose()) + bias.clone().unsqueeze();
    #[cfg(not(target_family = "wasm"))]
    if activation != Activation::None && has_transformer_steps(&y.device()) {
        return transformer::activation(y, activation);
    }
    match activation {
        Activation::None => y,
        Activation::Gelu => gelu(y),
        Activation::QuickGelu => y.clone() * sigmoid(y * 1.702),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::linear::Block;
    use crate::gpu;
    use crate::{Grain, values};
    use burn::tensor::{DType, Device, Int, TensorData};
    use residua_core::random::pcg4d;
    use residua_testing::{assert_close, tensor};

    #[test]
    fn the_kernel_matches_burn() {
        let device = Device::flex();
        let activations = [Activation::None, Activation::Gelu, Activation::QuickGelu];
        for (rows, inputs, outputs) in [(1, 48, 96), (3, 33, 17), (8, 256, 64), (40, 65, 130), (5, 96, 31)] {
            let weight = tensor([outputs, inputs], 2, &device);
            for (activation, weights) in activations.into_iter().zip(kept(&weight).iter().rev().cycle()) {
                let x = tensor([rows, inputs], 1, &device);
                let bias = tensor([outputs], 3, &device);
                let residual = tensor([rows, outputs], 4, &device);
                let twin = composed(x.clone(), weights, &bias, activation);
                assert_close(&values(linear(x.clone(), weights, &bias, activation)), &values(twin), 1e-5);
                let twin = composed(x.clone(), weights, &bias, Activation::None) + residual.clone();
                assert_close(&values(linear_onto(x, weights, &bias, residual)), &values(twin), 1e-5);
            }
        }
    }

    /// The same weights in each precision that they can be stored in.
    fn kept(weight: &Tensor<2>) -> Vec<Weights> {
        let shape = weight.dims();
        let dense = [DType::F32, DType::F16].map(|dtype| weight.clone().cast(dtype).into());
        let blocks = || Weights::from_blocks(&Block::round(&values(weight.clone())), shape, &weight.device());
        dense.into_iter().chain(shape[1].is_multiple_of(Block::SIZE).then(blocks)).collect()
    }

    /// Copies a tensor to the GPU.
    fn moved<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
        Tensor::from_data(tensor.clone().into_data(), (&gpu(), tensor.dtype()))
    }

    fn weights_on_gpu(weights: &Weights) -> Weights {
        match weights {
            Weights::Dense(weight) => moved(weight).into(),
            Weights::Blocks { packed, scales } => {
                let words = packed.as_ref().clone().into_data();
                let packed = Tensor::<2, Int>::from_data(words, (&gpu(), packed.dtype()));
                Weights::Blocks { packed: Box::new(packed), scales: moved(scales) }
            }
        }
    }

    /// Few and many rows, numbers of inputs and outputs that are not multiples of the kernel's tiles, and
    /// weights in each precision.
    #[test]
    fn gpu_and_cpu_agree() {
        Grain::ALL.into_iter().for_each(|grain| grain.during(layers_agree));
    }

    fn layers_agree() {
        let host = Device::flex();
        let activations = [Activation::None, Activation::Gelu, Activation::QuickGelu];
        for case in 0..120 {
            let size = |word, most: usize| 1 + pcg4d([case, word, 7, 7])[0] as usize % most;
            let rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 40][case as usize % 10];
            let multiple = [1, 2, 4, 32, 32][size(0, 5) - 1];
            let most = if multiple == 32 { 40 } else { 200 };
            let (inputs, outputs) =
                (multiple * size(1, most), size(2, if case % 9 == 0 { 3000 } else { 300 }));
            let activation = activations[size(4, 3) - 1];
            let x = tensor([rows, inputs], case, &host) * 3.0;
            let kept = kept(&tensor([outputs, inputs], case + 100, &host));
            let weights = kept.iter().rev().nth(size(3, 2) - 1).unwrap();
            println!("case {case}: {rows} x {inputs} to {outputs}, {:?}, {activation:?}", weights.dtype());
            let bias = tensor([outputs], case + 200, &host);
            let residual = tensor([rows, outputs], case + 300, &host);
            let (on_gpu, gpu_weights, gpu_bias) = (moved(&x), weights_on_gpu(weights), moved(&bias));
            // The pool reuses this tensor's memory for the next tensor of its size.
            drop(Tensor::<2>::full([rows, outputs], f32::NAN, &gpu()));
            let found = values(linear(on_gpu.clone(), &gpu_weights, &gpu_bias, activation));
            assert_close(&found, &values(linear(x.clone(), weights, &bias, activation)), 1e-4);
            let expected = values(linear_onto(x, weights, &bias, residual.clone()));
            let gpu_residual = moved(&residual);
            let found = linear_onto(on_gpu.clone(), &gpu_weights, &gpu_bias, gpu_residual.clone());
            assert_close(&values(found), &expected, 1e-4);
            assert_eq!(values(gpu_residual.clone()), values(residual));
            assert_close(
                &values(linear_onto(on_gpu, &gpu_weights, &gpu_bias, gpu_residual)),
                &expected,
                1e-4,
            );
        }
    }

    /// Rows far from zero, whose variance is easily lost.
    #[test]
    fn a_layer_after_a_norm_matches_the_two() {
        Grain::ALL.into_iter().for_each(|grain| grain.during(normed_layers_agree));
    }

    fn normed_layers_agree() {
        let host = Device::flex();
        let shapes = [(1, 1024, 2077), (2, 32, 5), (3, 1056, 70), (5, 344, 300), (8, 64, 2100), (9, 64, 30)];
        for (rows, inputs, outputs) in shapes {
            let x: Tensor<2> = tensor([rows, inputs], 1, &host) * 2.0 + 20.0;
            let [gamma, beta] = [2, 3].map(|seed| tensor::<1>([inputs], seed, &host));
            let bias: Tensor<1> = tensor([outputs], 4, &host);
            let there = [&gamma, &beta].map(moved);
            for weights in kept(&tensor([outputs, inputs], 5, &host)) {
                println!("{rows} x {inputs} to {outputs}, {:?}", weights.dtype());
                let normed = layer_norm(x.clone(), &gamma, &beta, 1e-5);
                let expected = values(linear(normed, &weights, &bias, Activation::Gelu));
                drop(Tensor::<2>::full([rows, outputs], f32::NAN, &gpu()));
                let found = normed_linear(
                    moved(&x),
                    there.each_ref(),
                    1e-5,
                    &weights_on_gpu(&weights),
                    &moved(&bias),
                    Activation::Gelu,
                );
                assert_close(&values(found), &expected, 1e-4);
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_other_rows() {
        Grain::ALL.into_iter().for_each(|grain| grain.during(rows_are_independent));
    }

    fn rows_are_independent() {
        const OUTPUTS: usize = 2077;
        let host = Device::flex();
        for inputs in [1024, 344] {
            let bias = moved(&tensor([OUTPUTS], 2, &host));
            let x: Tensor<2> = moved(&tensor([8, inputs], 3, &host));
            let norm = [4, 5].map(|seed| moved(&tensor::<1>([inputs], seed, &host)));
            for weights in kept(&tensor([OUTPUTS, inputs], 1, &host)) {
                let weights = weights_on_gpu(&weights);
                let plain = |x| values(linear(x, &weights, &bias, Activation::Gelu));
                let normed =
                    |x| values(normed_linear(x, norm.each_ref(), 1e-5, &weights, &bias, Activation::Gelu));
                let all = [plain(x.clone()), normed(x.clone())];
                for rows in 1..8 {
                    let part = x.clone().slice([8 - rows..8, 0..inputs]);
                    let parts = [plain(part.clone()), normed(part)];
                    let dtype = weights.dtype();
                    let expected = all.each_ref().map(|all| &all[(8 - rows) * OUTPUTS..]);
                    assert_eq!(parts, expected, "{rows} rows of {inputs}, {dtype:?}");
                }
            }
        }
    }

    /// Rows and outputs that do and do not fill tiles of each size. A row is the same in every batch.
    #[test]
    fn many_rows_agree_on_gpu_and_cpu_and_are_independent() {
        Grain::Fine.during(|| {
            let host = Device::flex();
            for (inputs, outputs) in [(96, 1500), (160, 37), (32, 2100)] {
                let (x, bias): (Tensor<2>, Tensor<1>) =
                    (tensor([256, inputs], 1, &host), tensor([outputs], 2, &host));
                for weights in kept(&tensor([outputs, inputs], 3, &host)) {
                    let (gpu_weights, gpu_bias) = (weights_on_gpu(&weights), moved(&bias));
                    let on_gpu = |rows: std::ops::Range<usize>| {
                        let part = moved(&x.clone().slice([rows.clone(), 0..inputs]));
                        drop(Tensor::<2>::full([rows.len(), outputs], f32::NAN, &gpu()));
                        values(linear(part, &gpu_weights, &gpu_bias, Activation::Gelu))
                    };
                    println!("{inputs} to {outputs}, {:?}", weights.dtype());
                    let all = on_gpu(0..256);
                    let expected = values(linear(x.clone(), &weights, &bias, Activation::Gelu));
                    assert_close(&all, &expected, 1e-4);
                    for rows in [0..9, 5..21, 100..141, 1..256] {
                        assert_eq!(on_gpu(rows.clone()), all[rows.start * outputs..rows.end * outputs]);
                    }
                }
            }
        });
    }

    /// Used for more rows than the kernels support.
    #[test]
    fn widening_on_the_gpu_matches_burn() {
        for shape in [[1, 32], [77, 96], [300, 1024]] {
            for weights in kept(&tensor(shape, 1, &Device::flex())) {
                let found = values(weights_on_gpu(&weights).single());
                assert_eq!(found, values(weights.single()), "{shape:?}, {:?}", weights.dtype());
            }
        }
    }

    /// More workgroups than fit in one launch dimension.
    #[test]
    fn the_gpu_handles_very_many_outputs() {
        let host = Device::flex();
        let outputs = 2_200_000;
        let (x, weight, bias) =
            (tensor([1, 4], 1, &host), tensor([outputs, 4], 2, &host), tensor([outputs], 3, &host));
        let weights = Weights::Dense(weight);
        let found = values(linear(moved(&x), &weights_on_gpu(&weights), &moved(&bias), Activation::None));
        assert_close(&found, &values(linear(x, &weights, &bias, Activation::None)), 1e-4);
    }

    /// The residual's buffer is reused for the result only if nothing else needs it.
    #[test]
    fn a_residual_may_be_the_input() {
        let host = Device::flex();
        let (x, weight, bias) =
            (tensor([3, 70], 1, &host), tensor([70, 70], 2, &host), tensor([70], 3, &host));
        let (on_gpu, weights) = (moved(&x), Weights::Dense(weight));
        let found = linear_onto(on_gpu.clone(), &weights_on_gpu(&weights), &moved(&bias), on_gpu.clone());
        assert_close(&values(found), &values(linear_onto(x.clone(), &weights, &bias, x.clone())), 1e-4);
        assert_eq!(values(on_gpu), values(x));
    }

    /// With zero weights, a layer computes only the activation.
    #[test]
    fn activations_on_the_gpu_are_accurate() {
        let x: Vec<f32> =
            (-3000..=3000).map(|i| i as f32 / 200.0).chain([-1e4, -150.0, 150.0, 1e4]).collect();
        let ones = Tensor::<2>::ones([1, 4], &gpu());
        let outputs = x.len();
        let bias = Tensor::<1>::from_data(TensorData::new(x.clone(), [outputs]), &gpu());
        let zeros = Weights::Dense(Tensor::zeros([outputs, 4], &gpu()));
        for activation in [Activation::Gelu, Activation::QuickGelu] {
            let found = values(linear(ones.clone(), &zeros, &bias, activation));
            for (&x, &y) in x.iter().zip(&found) {
                let exact = match activation {
                    Activation::Gelu => f64::from(x) * normal_distribution(f64::from(x)),
                    _ => f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp()),
                };
                let error = (f64::from(y) - exact).abs() / f64::from(x).abs().max(1.0);
                assert!(error < 3e-7, "{activation:?} of {x}: {y}, expected {exact}");
            }
        }
    }

    /// Phi by Marsaglia's series. Beyond 7 the tail is below 1e-11.
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
