//! Activations and the exponential, branch-free so that the compiler vectorizes loops over them.

/// Activation that a linear layer applies before adding the residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `x Phi(x)`, with Phi the normal distribution function: the exact GELU, not its tanh approximation.
    Gelu,
    /// `x sigmoid(1.702 x)`.
    QuickGelu,
}

/// e^x with a relative error under 2e-7. Arguments are clamped to `[-87, 88]`.
///
/// Cody and Waite: x = n ln 2 + r, a polynomial for e^r (Cephes `expf`), and 2^n set through the exponent
/// bits.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.500_000_1;
    let p = p * r * r + r + 1.0;
    let power = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    p * f32::from_bits(power)
}

/// The one-sided tail probability of the normal distribution beyond `|x|` (Abramowitz and Stegun 7.1.26), and
/// `exp(-x^2 / 2)`.
#[inline(always)]
fn beyond(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let density = exp(-z * z);
    (0.5 * p * t * density, density)
}

/// `x Phi(x)`, accurate to 2e-7 |x|.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    // The tail is used directly for negative x, where 1 - erf would cancel.
    let (beyond, _) = beyond(x);
    x * if x < 0.0 { beyond } else { 1.0 - beyond }
}

/// The derivative of [`gelu`].
#[inline(always)]
pub(super) fn gelu_slope(x: f32) -> f32 {
    /// One over the square root of two pi.
    const PEAK: f32 = 0.398_942_3;
    let (beyond, density) = beyond(x);
    (if x < 0.0 { beyond } else { 1.0 - beyond }) + x * PEAK * density
}

/// `x sigmoid(1.702 x)`.
#[inline(always)]
pub(super) fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-1.702 * x))
}

/// The derivative of [`quick_gelu`].
#[inline(always)]
pub(super) fn quick_gelu_slope(x: f32) -> f32 {
    let sigmoid = 1.0 / (1.0 + exp(-1.702 * x));
    sigmoid * (1.0 + 1.702 * x * (1.0 - sigmoid))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(x, gelu(x))` from PyTorch in double precision.
    const GELU: [(f32, f64); 18] = [
        (-12.0, 0.0),
        (-6.0, -5.919525869e-09),
        (-5.0, -1.433257859e-06),
        (-3.5, -8.142017766e-04),
        (-2.0, -4.550026390e-02),
        (-1.0, -1.586552539e-01),
        (-0.5, -1.542687694e-01),
        (-0.1, -4.601721690e-02),
        (0.0, 0.0),
        (0.001, 5.003989660e-04),
        (0.3, 1.853734354e-01),
        (0.75, 5.800294857e-01),
        (1.0, 8.413447461e-01),
        (1.5, 1.399789198e+00),
        (2.0, 1.954499736e+00),
        (3.0, 2.995950306e+00),
        (5.0, 4.999998567e+00),
        (9.0, 9.000000000e+00),
    ];

    #[test]
    fn exp_is_accurate_to_rounding() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() < 2e-7 * exact, "exp({x}) = {}, not {exact}", exp(x));
        }
        assert_eq!(exp(f32::NEG_INFINITY), exp(-87.0));
        assert_eq!(exp(f32::INFINITY), exp(88.0));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_matches_pytorch() {
        for (x, expected) in GELU {
            assert!(
                (f64::from(gelu(x)) - expected).abs() < 2e-7 * f64::from(x).abs().max(1.0),
                "gelu({x}) = {}",
                gelu(x)
            );
        }
    }

    #[test]
    fn quick_gelu_matches_double_precision() {
        for i in -1000..=1000 {
            let x = i as f32 / 50.0;
            let exact = f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp());
            assert!((f64::from(quick_gelu(x)) - exact).abs() < 3e-7 * f64::from(x).abs().max(1.0));
        }
    }
}
