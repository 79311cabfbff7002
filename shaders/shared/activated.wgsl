
// Shared by linear layers: their activations. `parameters.activation` is 0 for none, 1 for GELU and 2 for
// x sigmoid(1.702 x).

// x Phi(x), accurate to 2e-7 |x| (error function: Abramowitz and Stegun 7.1.26).
fn gelu(x: f32) -> f32 {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let p = t * (0.2548296 + t * (-0.28449674 + t * (1.4214137 + t * (-1.453152 + t * 1.0614054))));
    // The one-sided tail probability beyond |x|. Used directly for negative x, where 1 - erf would cancel.
    let beyond = 0.5 * p * exp(max(-z * z, -87.0));
    return x * select(1.0 - beyond, beyond, x < 0.0);
}

// x sigmoid(1.702 x).
fn quick_gelu(x: f32) -> f32 {
    return x / (1.0 + exp(min(-1.702 * x, 87.0)));
}

fn activated(sum: f32) -> f32 {
    switch parameters.activation {
        case 1u: {
            return gelu(sum);
        }
        case 2u: {
            return quick_gelu(sum);
        }
        default: {
            return sum;
        }
    }
}
