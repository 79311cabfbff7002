//! What white cells differ in. An encoder that sees all of a picture writes about it wherever there is room, on the background
//! too: codes that a transformer can not foresee, as nothing of what they tell is there.

use burn::tensor::Tensor;

/// Values from which on all of a pixel is white, in [-1, 1].
const WHITE: f32 = 0.98;

/// 1 for those cells of `images` `[B, 3, H, W]` that are all white, else 0, `[B h w, 1]`; `grid` is `[h, w]`.
pub fn white(images: Tensor<4>, [h, w]: [usize; 2]) -> Tensor<2> {
    let [batch, channels, height, width] = images.dims();
    let pixels = images.reshape([batch, channels, h, height / h, w, width / w]);
    let darkest = pixels.min_dim(1).min_dim(3).min_dim(5).reshape([batch * h * w, 1]);
    darkest.greater_elem(WHITE).float()
}

/// The variance of those latents `cells` `[B h w, C]` for which `is_white` `[B h w, 1]` is 1, over cells and channels. No
/// gradients reach the mean.
pub fn blank(cells: &Tensor<2>, is_white: Tensor<2>) -> Tensor<1> {
    let dim = cells.dims()[1];
    let count = is_white.clone().sum().clamp_min(1.0);
    let mean = (cells.clone().inner() * is_white.clone()).sum_dim(0) / count.clone().unsqueeze::<2>();
    let apart = (cells.clone() - mean.autodiff()).powi_scalar(2) * is_white.autodiff();
    apart.sum() / (count * dim as f64).autodiff()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::kernels::values;
    use crate::testing::assert_close;

    /// Two cells are white, and one is not in one of its pixels.
    #[test]
    fn it_is_the_variance_of_the_white_cells() {
        let device = Device::flex();
        let mut pixels = vec![1.0f32; 3 * 4 * 8];
        // Row 1, column 5: the second of two cells of a row; and all of the first row's second half of another channel.
        pixels[8 + 5] = 0.5;
        let image = Tensor::<1>::from_floats(pixels.as_slice(), &device).reshape([1, 3, 4, 8]);
        let latents = [1.0f32, 2.0, 100.0, 100.0];
        let cells = Tensor::<1>::from_floats(latents.as_slice(), &device).reshape([2, 2]);
        let two = Tensor::cat(vec![image.clone(), image], 0);
        let four = Tensor::cat(vec![cells.clone(), cells + 2.0], 0).autodiff();
        // The white ones are (1, 2) and (3, 4): each is one from the mean in each channel.
        assert_close(&values(blank(&four, white(two, [1, 2])).inner()), &[1.0], 1e-6);
    }

    #[test]
    fn pictures_without_white_have_none() {
        let device = Device::flex();
        let cells = Tensor::<2>::ones([4, 2], &device).autodiff();
        let found = blank(&cells, white(Tensor::zeros([1, 3, 4, 4], &device), [2, 2]));
        assert_eq!(values(found.inner()), [0.0]);
    }
}
