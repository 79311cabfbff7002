//! The reconstruction loss of stage 1 (paper, equation 5), in which some parts of an image may count more.

use burn::tensor::Tensor;

use residua_core::config::Focus;
use residua_model::rqvae::{Hparams, ReconstructionLoss};

/// The configured distance of the reconstructions `made` from `images`, both `[B, 3, H, W]`: one element.
pub fn compare(hparams: &Hparams, made: Tensor<4>, images: Tensor<4>) -> Tensor<1> {
    let difference = made - images.clone();
    let distances = match hparams.loss_type {
        ReconstructionLoss::L1 => difference.abs(),
        ReconstructionLoss::Mse => difference.powi_scalar(2),
    };
    match focus_weights(&hparams.focus, &images) {
        Some(weights) => (distances * weights).mean(),
        None => distances.mean(),
    }
}

/// How much errors at each pixel of `images` `[B, 3, H, W]` count, `[1, 1, H, W]`, with a mean of 1. `None` if all count
/// the same.
fn focus_weights(focus: &[Focus], images: &Tensor<4>) -> Option<Tensor<4>> {
    let [.., height, width] = images.dims();
    let mut weights = vec![1.0f32; height * width];
    for Focus { rows, columns, weight } in focus {
        for row in rows[0]..rows[1] {
            weights[row * width..][columns[0]..columns[1]].fill(*weight as f32);
        }
    }
    let mean = weights.iter().sum::<f32>() / weights.len() as f32;
    weights.iter_mut().for_each(|weight| *weight /= mean);
    let tensor =
        || Tensor::<1>::from_floats(weights.as_slice(), &images.device()).reshape([1, 1, height, width]);
    (!focus.is_empty()).then(tensor)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use residua_kernels::values;
    use residua_testing::assert_close;

    /// Of 32 pixels, 4 count three times: an error in one of them counts 3 of 40, any other 1 of 40.
    #[test]
    fn errors_in_focus_count_more() {
        let device = Device::flex();
        let focus = [Focus { rows: [1, 3], columns: [2, 4], weight: 3.0 }];
        let weights = focus_weights(&focus, &Tensor::zeros([1, 3, 4, 8], &device)).unwrap();
        assert_eq!(weights.dims(), [1, 1, 4, 8]);
        let at = |row: usize, column: usize| values(weights.clone())[row * 8 + column];
        let share = 32.0 / 40.0;
        for (row, column, expected) in
            [(1, 2, 3.0), (2, 3, 3.0), (0, 2, 1.0), (3, 3, 1.0), (1, 1, 1.0), (2, 4, 1.0)]
        {
            assert_close(&[at(row, column)], &[expected * share], 1e-6);
        }
        assert_close(&values(weights.mean()), &[1.0], 1e-6);
        assert!(focus_weights(&[], &Tensor::zeros([1, 3, 4, 8], &device)).is_none());
    }
}
