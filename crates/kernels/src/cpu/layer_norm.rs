//! Layer normalization on the CPU.

use super::vector::{Instructions, WIDEST};

/// `(x - mean) / sqrt(variance + eps) * gamma + beta` for each row of `gamma.len()` values, with the biased
/// variance. `x` and the result are `[rows, gamma.len()]`. Published models use `eps` 1e-5.
///
/// # Panics
/// If the lengths do not match.
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Vec<f32> {
    assert!(!gamma.is_empty() && x.len().is_multiple_of(gamma.len()), "x must be [rows, gamma.len()]");
    assert_eq!(gamma.len(), beta.len(), "gamma and beta differ in length");
    let mut y = vec![0.0; x.len()];
    Instructions::best().run(
        #[inline(always)]
        || {
            for (x, y) in x.chunks_exact(gamma.len()).zip(y.chunks_exact_mut(gamma.len())) {
                normalize(x, gamma, beta, eps, y);
            }
        },
    );
    y
}

/// Normalizes one row.
#[inline(always)]
fn normalize(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let mean = sum(x, |x| x) / x.len() as f32;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / x.len() as f32;
    let scale = 1.0 / (variance + eps).sqrt();
    for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
        *y = (x - mean) * scale * gamma + beta;
    }
}

/// The sum of `f` over `values`. The order does not depend on the processor's vector width.
#[inline(always)]
pub(super) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = values.as_chunks::<WIDEST>();
    let mut lanes = [0.0; WIDEST];
    for values in whole {
        for (lane, &value) in lanes.iter_mut().zip(values) {
            *lane += f(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f(value);
    }
    lanes.iter().sum()
}

/// The sum of `a f(b)` over two rows of equal length. The order does not depend on the processor's vector
/// width.
#[inline(always)]
pub(super) fn product(a: &[f32], b: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDEST>(), b.as_chunks::<WIDEST>());
    let mut lanes = [0.0; WIDEST];
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * f(b);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * f(b);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same in double precision.
    fn reference(x: &[f32], gamma: &[f32], beta: &[f32], eps: f64) -> Vec<f64> {
        let n = gamma.len();
        let row = |x: &[f32]| {
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
            let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n as f64;
            let scale = 1.0 / (variance + eps).sqrt();
            (0..n)
                .map(|i| (f64::from(x[i]) - mean) * scale * f64::from(gamma[i]) + f64::from(beta[i]))
                .collect::<Vec<_>>()
        };
        x.chunks(n).flat_map(row).collect()
    }

    proptest! {
        #[test]
        fn matches_double_precision(rows in 0usize..5, width in 2usize..200, shift in -3.0f32..3.0, seed in 0u32..1000) {
            let value = |i: usize| ((i as f32 + seed as f32) * 12.9898).sin();
            let x: Vec<f32> = (0..rows * width).map(|i| value(i) + shift).collect();
            let gamma: Vec<f32> = (0..width).map(|i| value(i + 7)).collect();
            let beta: Vec<f32> = (0..width).map(|i| value(i + 13)).collect();
            let y = layer_norm(&x, &gamma, &beta, 1e-5);
            for (y, expected) in y.iter().zip(reference(&x, &gamma, &beta, 1e-5)) {
                prop_assert!((f64::from(*y) - expected).abs() < 3e-5, "{y} is not {expected}");
            }
        }
    }

    #[test]
    fn constant_row_gives_beta() {
        assert_eq!(layer_norm(&[2.5; 33], &[1.0; 33], &[0.75; 33], 1e-5), [0.75; 33]);
    }
}
