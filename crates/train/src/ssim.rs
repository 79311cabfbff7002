//! Structural similarity as a loss. The mean squared error hardly counts small parts of low contrast, such as a mouth.
//! Structural similarity does, because it divides by the contrast of each window (Wang et al. 2004; as a loss, Zhao et
//! al. 2017, arXiv 1511.08861).

use burn::tensor::Tensor;

/// The published constants, for values in `[0, 1]`: the squares of 0.01 and 0.03.
const C1: f64 = 0.000_1;
const C2: f64 = 0.000_9;

/// Mean structural similarity of `made` and `images`, both `[B, C, H, W]` in `[-1, 1]`, over channels and disjoint
/// windows of `side` by `side` pixels, which must divide both sides. 1 for equal images, one element.
pub fn ssim(made: Tensor<4>, images: Tensor<4>, side: usize) -> Tensor<1> {
    let [x, y] = [made, images].map(|x| windows(x * 0.5 + 0.5, side));
    let [mean_x, mean_y] = [&x, &y].map(|x| x.clone().mean_dim(1));
    let covariance = |a: &Tensor<2>, mean_a: &Tensor<2>, b: &Tensor<2>, mean_b: &Tensor<2>| {
        ((a.clone() - mean_a.clone()) * (b.clone() - mean_b.clone())).mean_dim(1)
    };
    let [xx, yy, xy] = [(&x, &mean_x, &x, &mean_x), (&y, &mean_y, &y, &mean_y), (&x, &mean_x, &y, &mean_y)]
        .map(|(a, mean_a, b, mean_b)| covariance(a, mean_a, b, mean_b));
    let brightness =
        (mean_x.clone() * mean_y.clone() * 2.0 + C1) / (mean_x.powi_scalar(2) + mean_y.powi_scalar(2) + C1);
    let structure = (xy * 2.0 + C2) / (xx + yy + C2);
    (brightness * structure).mean()
}

/// The pixels of each window in a row: `[B C H/side W/side, side side]`.
fn windows(x: Tensor<4>, side: usize) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    let [rows, columns] = [height / side, width / side];
    x.reshape([batch * channels * rows, side, columns, side])
        .swap_dims(1, 2)
        .reshape([batch * channels * rows * columns, side * side])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use residua_kernels::values;
    use residua_testing::assert_close;

    /// From scikit-image 0.26: the mean over pictures and channels of `map[3::7, 3::7]`, where `map` is the full result of
    /// `structural_similarity(x / 2 + 0.5, y / 2 + 0.5, win_size=7, data_range=1, use_sample_covariance=False)`.
    const EXPECTED: f32 = 0.953_590_5;

    fn pictures(value: impl Fn(f64) -> f64) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 3 * 28 * 28).map(|i| value(f64::from(i)) as f32).collect();
        Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([2, 3, 28, 28])
    }

    #[test]
    fn it_is_that_of_scikit_image() {
        let x = pictures(|i| (i * 0.37).sin());
        let y = pictures(|i| 0.8 * (i * 0.37 + 0.3 * (i * 0.011).cos()).sin());
        assert_close(&values(ssim(x.clone(), y, 7)), &[EXPECTED], 1e-5);
        assert_close(&values(ssim(x.clone(), x, 7)), &[1.0], 1e-6);
    }
}
