//! A loss on the latents of white cells. An encoder that sees the whole picture stores information about it
//! anywhere there is room, even in the background. A transformer cannot predict such codes from what is in
//! the cell.

use burn::tensor::Tensor;

use super::rank_share::RankShare;

/// A pixel is white if all its channels are above this value, in `[-1, 1]`.
const WHITE: f32 = 0.98;

/// 1 for the cells of `images` `[B, 3, H, W]` that are all white, else 0, `[B h w, 1]`; `grid` is `[h, w]`.
pub fn white(images: Tensor<4>, [h, w]: [usize; 2]) -> Tensor<2> {
    let [batch, channels, height, width] = images.dims();
    let pixels = images.reshape([batch, channels, h, height / h, w, width / w]);
    let darkest = pixels.min_dim(1).min_dim(3).min_dim(5).reshape([batch * h * w, 1]);
    darkest.greater_elem(WHITE).float()
}

/// The variance of the latents `cells` `[B h w, C]` where `is_white` `[B h w, 1]` is 1, over cells and
/// channels. No gradients flow through the mean.
///
/// The cells may be a `share` of those of a batch. The loss of the batch is then the mean over the ranks, by the weights
/// of their shares.
pub fn blank(cells: &Tensor<2>, is_white: Tensor<2>, share: &RankShare) -> Tensor<1> {
    let dim = cells.dims()[1];
    let count = share.sum(is_white.clone().sum()).clamp_min(1.0);
    let sum = share.sum((cells.clone().inner() * is_white.clone()).sum_dim(0));
    let mean = sum / count.clone().unsqueeze::<2>();
    let apart = (cells.clone() - mean.autodiff()).powi_scalar(2) * is_white.autodiff();
    apart.sum() / (count * (dim as f64 * share.weight())).autodiff()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use residua_kernels::values;
    use residua_testing::assert_close;

    /// Two of the four cells are white; the other two have one pixel that is not.
    #[test]
    fn it_is_the_variance_of_the_white_cells() {
        let device = Device::flex();
        let mut pixels = vec![1.0f32; 3 * 4 * 8];
        // Row 1, column 5 of the first channel: in the second of the two cells.
        pixels[8 + 5] = 0.5;
        let image = Tensor::<1>::from_floats(pixels.as_slice(), &device).reshape([1, 3, 4, 8]);
        let latents = [1.0f32, 2.0, 100.0, 100.0];
        let cells = Tensor::<1>::from_floats(latents.as_slice(), &device).reshape([2, 2]);
        let two = Tensor::cat(vec![image.clone(), image], 0);
        let four = Tensor::cat(vec![cells.clone(), cells + 2.0], 0).autodiff();
        // The white cells are (1, 2) and (3, 4): each channel is 1 away from its mean.
        assert_close(&values(blank(&four, white(two, [1, 2]), &RankShare::alone()).inner()), &[1.0], 1e-6);
    }

    #[test]
    fn it_is_zero_without_white_cells() {
        let device = Device::flex();
        let cells = Tensor::<2>::ones([4, 2], &device).autodiff();
        let white = white(Tensor::zeros([1, 3, 4, 4], &device), [2, 2]);
        let found = blank(&cells, white, &RankShare::alone());
        assert_eq!(values(found.inner()), [0.0]);
    }
}
