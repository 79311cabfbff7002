//! Helpers shared by the tests of the CPU kernels.

/// `len` values in [-1, 1), the same for the same seed.
pub(super) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        // Knuth's MMIX generator. Only its upper bits are random enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The largest difference between `found` and `expected`, relative to the largest magnitude of `expected` or
/// `floor`, whichever is larger. NaN if any difference is NaN.
pub(super) fn relative_error(found: &[f32], expected: &[f64], floor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.map(f64::abs).fold(0.0, |largest, value| if value <= largest { largest } else { value })
    };
    let difference =
        largest(&mut found.iter().zip(expected).map(|(&found, expected)| f64::from(found) - expected));
    difference / largest(&mut expected.iter().copied()).max(floor)
}
