//! Test helpers: made-up tensors, and a comparison that reports where it failed.

use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of values in `[-1, 1]` that depend only on `seed`.
pub fn tensor<const D: usize>(dims: [usize; D], seed: u32, device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let values: Vec<f32> = (0..dims.iter().product::<usize>())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// Asserts that the largest difference is at most `tolerance` times the largest expected magnitude.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |most, x| most.max(x.abs())).max(1e-6);
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "at {i}: {a} but expected {b} (largest {scale})");
    }
}

/// Leaves NaN in the memory that the device is likely to reuse for the next tensor of this size, so that
/// elements a kernel fails to write show up.
pub fn poison<const D: usize>(dims: [usize; D], device: &Device) {
    let poisoned = Tensor::<D>::full(dims, f32::NAN, device);
    device.sync().unwrap();
    drop(poisoned);
}
