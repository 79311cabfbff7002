//! Compares the hand-written gradients with those of the same operations built from Burn's own, and with
//! finite differences.

use burn::tensor::{Device, Tensor};

use crate::gpu;
use crate::group_norm::Norm;
use crate::{Resample, conv2d, group_norm, values};
use residua_core::random::uniform;
use residua_testing::{assert_close, tensor};

/// Relative to the largest expected magnitude.
const TOLERANCE: f32 = 1e-4;

/// An operation on a tensor of pixels and two other operands.
type Operation<'a> = &'a dyn Fn(Tensor<4>, [Tensor<1>; 2]) -> Tensor<4>;

/// The gradients of `sum(operation(..) weights)` for synthetic operands and weights.
fn gradients(dims: [usize; 4], operands: [usize; 2], operation: Operation, device: &Device) -> [Vec<f32>; 3] {
    let device = device.clone().autodiff();
    let x = (tensor(dims, 1, &device) * 2.0 + 0.5).require_grad();
    let a = tensor([operands[0]], 2, &device).require_grad();
    let b = tensor([operands[1]], 3, &device).require_grad();
    let y = operation(x.clone(), [a.clone(), b.clone()]);
    let weights = tensor(y.dims(), 4, &device);
    let found = (y * weights).sum().backward();
    [values(x.grad(&found).unwrap()), values(a.grad(&found).unwrap()), values(b.grad(&found).unwrap())]
}

/// Compares the gradients of `operation` on `device` with those of `composed` on the CPU.
fn compare(
    dims: [usize; 4],
    operands: [usize; 2],
    device: &Device,
    operation: Operation,
    composed: Operation,
) {
    let found = gradients(dims, operands, operation, device);
    let expected = gradients(dims, operands, composed, &Device::flex());
    for (name, (found, expected)) in ["input", "first", "second"].into_iter().zip(found.iter().zip(&expected))
    {
        println!("the gradient of the {name} operand");
        assert_close(found, expected, TOLERANCE);
    }
}

#[derive(Clone, Copy, Debug)]
struct Conv {
    resample: Resample,
    kernel: usize,
    dims: [usize; 4],
    out: usize,
}

impl Conv {
    fn case(case: u32, most: [u32; 5]) -> Self {
        const KINDS: [(Resample, usize); 4] =
            [(Resample::Same, 3), (Resample::Same, 1), (Resample::Down, 3), (Resample::Up, 3)];
        let pick = |word: usize| 1 + (uniform([case, word as u32, 7, 5]) * most[word] as f32) as usize;
        let (resample, kernel) = KINDS[case as usize % 4];
        let least = usize::from(resample == Resample::Down);
        Self { resample, kernel, dims: [pick(0), pick(1), least + pick(2), least + pick(3)], out: pick(4) }
    }

    fn operands(&self) -> [usize; 2] {
        [self.out * self.dims[1] * self.kernel.pow(2), self.out]
    }

    fn weight(&self, flat: Tensor<1>) -> Tensor<4> {
        flat.reshape([self.out, self.dims[1], self.kernel, self.kernel])
    }

    fn run(&self, x: Tensor<4>, [weight, bias]: [Tensor<1>; 2]) -> Tensor<4> {
        conv2d::conv2d(x, &self.weight(weight), &bias, self.resample)
    }

    fn compare(&self, device: &Device) {
        println!("{self:?}");
        let composed = |x, [weight, bias]: [Tensor<1>; 2]| {
            conv2d::composed(x, &self.weight(weight), &bias, self.resample)
        };
        compare(self.dims, self.operands(), device, &|x, operands| self.run(x, operands), &composed);
    }
}

#[derive(Clone, Copy, Debug)]
struct Normed {
    dims: [usize; 4],
    norm: Norm,
}

impl Normed {
    fn case(case: u32, most: [u32; 5]) -> Self {
        let pick = |word: usize| 1 + (uniform([case, word as u32, 7, 6]) * most[word] as f32) as usize;
        let groups = pick(1);
        let norm = Norm { groups, epsilon: 1e-3, silu: case.is_multiple_of(2) };
        Self { dims: [pick(0), groups * pick(2), pick(3), 1 + pick(4)], norm }
    }

    fn run(&self, x: Tensor<4>, [gamma, beta]: [Tensor<1>; 2]) -> Tensor<4> {
        let Norm { groups, epsilon, silu } = self.norm;
        group_norm::group_norm(x, &gamma, &beta, groups, epsilon, silu)
    }

    fn compare(&self, device: &Device) {
        println!("{self:?}");
        let Norm { groups, epsilon, silu } = self.norm;
        let composed =
            |x, [gamma, beta]: [Tensor<1>; 2]| group_norm::composed(x, &gamma, &beta, groups, epsilon, silu);
        compare(self.dims, [self.dims[1]; 2], device, &|x, operands| self.run(x, operands), &composed);
    }
}

#[test]
fn cpu_convolution_gradients_match_burn() {
    for case in 0..80 {
        Conv::case(case, [5, 40, 30, 30, 70]).compare(&Device::flex());
    }
    // Several images per row, several parts, and rows longer than a segment.
    for (resample, dims, out) in [
        (Resample::Same, [33, 3, 8, 8], 35),
        (Resample::Same, [5, 7, 64, 64], 3),
        (Resample::Up, [3, 5, 32, 33], 33),
        (Resample::Down, [17, 4, 33, 64], 5),
    ] {
        Conv { resample, kernel: 3, dims, out }.compare(&Device::flex());
    }
}

#[test]
fn gpu_convolution_gradients_match_burn() {
    for case in 0..12 {
        Conv::case(case, [3, 9, 9, 9, 9]).compare(&gpu());
    }
}

#[test]
fn cpu_norm_gradients_match_burn() {
    for case in 0..60 {
        Normed::case(case, [5, 6, 4, 30, 30]).compare(&Device::flex());
    }
    for silu in [false, true] {
        Normed { dims: [2, 4, 64, 70], norm: Norm { groups: 2, epsilon: 1e-6, silu } }
            .compare(&Device::flex());
    }
}

#[test]
fn gpu_norm_gradients_match_burn() {
    for case in 0..8 {
        Normed::case(case, [3, 3, 3, 6, 6]).compare(&gpu());
    }
}

/// Checks that each gradient, projected onto a fixed direction, equals the finite difference of the weighted
/// sum in that direction.
fn differences(dims: [usize; 4], operands: [usize; 2], operation: Operation) {
    let device = Device::flex();
    let found = gradients(dims, operands, operation, &device);
    let sum = |which: usize, step: f64| {
        let moved = |i: usize, length: usize| {
            if which == i { tensor([length], 9, &device) * step } else { Tensor::zeros([length], &device) }
        };
        let count = dims.iter().product();
        let x = tensor(dims, 1, &device) * 2.0 + 0.5 + moved(0, count).reshape(dims);
        let a = tensor([operands[0]], 2, &device) + moved(1, operands[0]);
        let b = tensor([operands[1]], 3, &device) + moved(2, operands[1]);
        let y = operation(x, [a, b]);
        let weights = values(tensor(y.dims(), 4, &device));
        values(y).iter().zip(weights).map(|(y, weight)| f64::from(*y) * f64::from(weight)).sum::<f64>()
    };
    for (which, gradient) in found.iter().enumerate() {
        let direction = values(tensor([gradient.len()], 9, &device));
        let slope: f64 = gradient.iter().zip(direction).map(|(g, d)| f64::from(*g) * f64::from(d)).sum();
        let difference = (sum(which, 1e-2) - sum(which, -1e-2)) / 2e-2;
        let scale: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
        println!("operand {which}: {slope} by gradient, {difference} by finite difference");
        assert!(
            (slope - difference).abs() < 1e-4 * scale,
            "operand {which}: gradient {slope}, finite difference {difference}"
        );
    }
}

#[test]
fn gradients_match_finite_differences() {
    for (resample, kernel) in
        [(Resample::Same, 3), (Resample::Same, 1), (Resample::Down, 3), (Resample::Up, 3)]
    {
        let conv = Conv { resample, kernel, dims: [2, 5, 7, 8], out: 6 };
        differences(conv.dims, conv.operands(), &|x, operands| conv.run(x, operands));
    }
    for silu in [false, true] {
        let normed = Normed { dims: [2, 6, 5, 7], norm: Norm { groups: 3, epsilon: 1e-3, silu } };
        differences(normed.dims, [6; 2], &|x, operands| normed.run(x, operands));
    }
}

/// All gradients of one convolution and one norm on `threads` threads.
fn on(threads: usize, resample: Resample, kernel: usize) -> Vec<[Vec<f32>; 3]> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let conv = Conv { resample, kernel, dims: [9, 35, 17, 18], out: 37 };
    let normed = Normed { dims: [3, 12, 17, 18], norm: Norm { groups: 4, epsilon: 1e-6, silu: true } };
    pool.install(|| {
        vec![
            gradients(conv.dims, conv.operands(), &|x, operands| conv.run(x, operands), &Device::flex()),
            gradients(normed.dims, [12; 2], &|x, operands| normed.run(x, operands), &Device::flex()),
        ]
    })
}

#[test]
fn gradients_do_not_depend_on_threads() {
    for (resample, kernel) in
        [(Resample::Same, 3), (Resample::Same, 1), (Resample::Down, 3), (Resample::Up, 3)]
    {
        let expected = on(1, resample, kernel);
        assert!(
            on(2, resample, kernel) == expected && on(5, resample, kernel) == expected,
            "{resample:?} {kernel}"
        );
    }
}

#[test]
fn an_untracked_input_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let (x, weight) = (tensor([2, 3, 8, 8], 1, &device), tensor([4, 3, 3, 3], 2, &device).require_grad());
    let y = conv2d::conv2d(x.clone(), &weight, &tensor([4], 3, &device), Resample::Same);
    let found = y.sum().backward();
    assert!(x.grad(&found).is_none() && weight.grad(&found).is_some());
    let plain = conv2d::conv2d(x, &weight.detach(), &tensor([4], 3, &device), Resample::Same);
    assert!(!plain.is_require_grad());
}
