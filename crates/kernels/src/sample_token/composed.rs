//! Sampling built from Burn's own operations, for devices without the kernel.

use burn::tensor::{Int, Tensor, TensorData};

use super::Draw;

/// Number of bisections after which the range of exponents is narrower than the spacing of its floats.
const HALVINGS: usize = 36;

/// An exponent whose exponential is 0 in f32.
const VANISHING: f32 = -200.0;

/// [`sample_token`](super::sample_token) built from Burn's own operations. A browser has no sort operation, so
/// cutoffs are found by bisecting the range of the logits.
pub fn composed(logits: Tensor<2>, draw: &Draw) -> Tensor<1, Int> {
    let ([rows, classes], device, filter) = (logits.dims(), logits.device(), &draw.filter);
    // Only finite numbers from here on: shader compilers may assume that there are no others, and then even drop a
    // clamp to finite numbers. These tests look at the bits.
    let (nan, infinite) = (logits.clone().is_nan(), logits.clone().is_inf());
    let positive = logits.clone().greater_elem(0.0);
    let logits = logits.mask_fill(nan.bool_or(infinite.clone()), f32::MIN);
    let logits = logits.mask_fill(infinite.bool_and(positive), f32::MAX);
    let largest = logits.clone().max_dim(1);
    let is_number = logits.clone().greater_elem(f32::MIN);
    let temperature = filter.temperature.max(f32::MIN_POSITIVE);
    let exponents = ((logits - largest.clone()) / temperature).clamp(VANISHING, 0.0);
    let exponents = exponents.mask_fill(is_number.bool_not(), VANISHING);
    let mut weights = exponents.clone().exp();
    // An infinite logit always wins, as the largest logit does at temperature 0. On a tie, the first wins.
    let sure = largest.clone().greater_equal_elem(f32::MAX);
    let is_greedy = filter.temperature == 0.0;
    if !is_greedy && (1..classes).contains(&filter.top_k) {
        let count = Tensor::full([rows, 1], filter.top_k as f32, &device);
        let kth = cut(&exponents, &exponents.ones_like(), count);
        weights = weights.mask_fill(exponents.clone().lower(kth), 0.0);
    }
    if !is_greedy && filter.top_p > 0.0 && filter.top_p < 1.0 {
        weights = keep_mass(&exponents, weights, filter.top_p);
    }
    if is_greedy {
        weights = weights.mask_fill(exponents.lower_elem(0.0), 0.0);
    }
    let uniform = (0..rows as u32).map(|row| if is_greedy { 0.0 } else { draw.uniform(row) });
    let uniform = TensorData::new(uniform.collect::<Vec<f32>>(), [rows, 1]);
    let uniform = Tensor::<2>::from_data(uniform, &device).mask_fill(sure, 0.0);
    let indices = Tensor::<1, Int>::arange(0..classes as i64, &device).unsqueeze::<2>();
    let last = (weights.clone().greater_elem(0.0).int() * indices).max_dim(1);
    let passed = weights.clone().cumsum(1).lower_equal(uniform * weights.sum_dim(1));
    let codes = passed.int().sum_dim(1).min_pair(last);
    codes.mask_fill(largest.lower_equal_elem(f32::MIN), -1).reshape([rows])
}

/// For each row, the largest of `exponents` `[B, V]` for which the exponents not below it hold at least
/// `enough` `[B, 1]` of `mass` `[B, V]`.
fn cut(exponents: &Tensor<2>, mass: &Tensor<2>, enough: Tensor<2>) -> Tensor<2> {
    let (mut low, mut high) = (enough.full_like(VANISHING), enough.full_like(1.0));
    for _ in 0..HALVINGS {
        let middle = (low.clone() + high.clone()) * 0.5;
        let above = mass.clone().mask_fill(exponents.clone().lower(middle.clone()), 0.0).sum_dim(1);
        let reaches = above.greater_equal(enough.clone());
        low = low.mask_where(reaches.clone(), middle.clone());
        high = high.mask_where(reaches.bool_not(), middle);
    }
    exponents.clone().mask_fill(exponents.clone().greater_equal(high), VANISHING).max_dim(1)
}

/// Top-p filtering: zeroes each of `weights` if those with larger exponents, or with equal exponents and
/// lower indices, already hold the share `top_p`.
fn keep_mass(exponents: &Tensor<2>, weights: Tensor<2>, top_p: f32) -> Tensor<2> {
    let enough = weights.clone().sum_dim(1) * top_p;
    let cut = cut(exponents, &weights, enough.clone());
    let above = weights.clone().mask_fill(exponents.clone().lower_equal(cut.clone()), 0.0).sum_dim(1);
    let level = weights.clone().mask_fill(exponents.clone().not_equal(cut.clone()), 0.0);
    let before = level.clone().cumsum(1) - level + above;
    let dropped = exponents.clone().equal(cut.clone()).bool_and(before.greater_equal(enough));
    weights.mask_fill(exponents.clone().lower(cut).bool_or(dropped), 0.0)
}
