//! Folds squares of pixels into channels, so that no level runs at full resolution (space-to-depth; not in
//! the published models).

use burn::tensor::Tensor;

/// Images `[B, C, H, W]` to `[B, C side side, H / side, W / side]`: the pixels of a square, row by row,
/// become consecutive channels. `side` must divide `H` and `W`.
pub fn fold(images: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return images;
    }
    let [b, c, h, w] = images.dims();
    let squares = images.reshape([b, c, h / side, side, w / side, side]);
    squares.permute([0, 1, 3, 5, 2, 4]).reshape([b, c * side * side, h / side, w / side])
}

/// The inverse of [`fold`].
pub fn unfold(folded: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return folded;
    }
    let [b, channels, h, w] = folded.dims();
    let c = channels / (side * side);
    let squares = folded.reshape([b, c, side, side, h, w]);
    squares.permute([0, 1, 4, 2, 5, 3]).reshape([b, c, h * side, w * side])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, module::conv2d, ops::ConvOptions};
    use residua_kernels::values;
    use residua_testing::tensor;

    #[test]
    fn a_1x1_convolution_after_folding_equals_a_strided_one() {
        let device = Device::flex();
        let [side, height, width] = [2, 6, 8];
        let images = tensor([2, 3, height, width], 1, &device);
        let weight = tensor([5, 3, side, side], 2, &device);
        let options = ConvOptions::new([side, side], [0, 0], [1, 1], 1);
        let expected = conv2d(images.clone(), weight.clone(), None, options);
        let folded = fold(images, side);
        assert_eq!(folded.dims(), [2, 12, 3, 4]);
        let found =
            conv2d(folded, weight.reshape([5, 12, 1, 1]), None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
        residua_testing::assert_close(&values(found), &values(expected), 1e-6);
    }

    #[test]
    fn unfold_inverts_fold() {
        let device = Device::flex();
        for side in [1, 2, 4] {
            let images: Vec<f32> = (0..2 * 3 * 8 * 12).map(|i| i as f32).collect();
            let images = Tensor::from_data(TensorData::new(images, [2, 3, 8, 12]), &device);
            let again = unfold(fold(images.clone(), side), side);
            assert_eq!(values(again), values(images));
        }
    }
}
