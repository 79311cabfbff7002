//! The adaptive weight of the generator's loss (Esser et al., arXiv 2012.09841, section 3.1).

use burn::tensor::Tensor;

use super::{gradient, number};
use crate::rank_share::RankShare;
use residua_kernels::Resample;
use residua_kernels::conv2d::conv2d;
use residua_model::rqvae::patches::fold;

/// Keeps the adaptive weight finite.
const EPSILON: f64 = 1e-4;

/// Largest adaptive weight.
pub const LARGEST: f64 = 1e4;

/// The weight of the generator's loss at which its gradient at the last layer has the same norm as that of
/// the other losses. `at_images` are the gradients of the other losses and of the generator's at the
/// reconstructions, which the layer computes from `features` `[B, ch, H / patch, W / patch]` with `weights`
/// `[3 patch patch, ch, 3, 3]`, each for the pictures of a `share`.
pub fn adaptive_weight(
    features: &Tensor<4>,
    weights: &Tensor<4>,
    at_images: [&Tensor<4>; 2],
    share: &RankShare,
) -> f64 {
    let [wanted, other] = at_images.map(|at_images| {
        let at_layer = fold(at_images.clone(), at_images.dims()[2] / features.dims()[2]);
        // The layer is linear: the gradients with respect to its weights do not depend on its bias.
        let weights = weights.clone().autodiff().require_grad();
        let bias = Tensor::zeros([weights.dims()[0]], &at_images.device()).autodiff();
        let made = conv2d(features.clone().autodiff(), &weights, &bias, Resample::Same);
        let loss = (made * at_layer.autodiff()).sum();
        let whole = share.mean(gradient(&loss, &weights));
        number(&whole.powi_scalar(2).sum()).sqrt()
    });
    (wanted / (other + EPSILON)).clamp(0.0, LARGEST)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use residua_core::config::StateKind;
    use residua_testing::assert_close;
    use residua_weights::WeightFile;

    use super::super::tests::fixture;
    use super::*;

    #[test]
    fn the_adaptive_weight_matches_pytorch() {
        let golden = WeightFile::open(&fixture("training/gan.safetensors"), StateKind::Auto).unwrap();
        let read = |name: &str| {
            let shape = golden.get(name).unwrap().shape.clone();
            Tensor::from_data(TensorData::new(golden.read_f32(name).unwrap(), shape), &Device::flex())
        };
        let [features, weights, wanted, other] =
            ["features", "last_layer", "wanted", "other"].map(|name| read(&format!("adaptive.{name}")));
        let share = RankShare::alone();
        let found = adaptive_weight(&features, &weights, [&wanted, &other], &share);
        assert_close(&[found as f32], &golden.read_f32("adaptive.weight").unwrap(), 1e-4);
        // If the generator's gradient is zero, the weight is bounded.
        let nothing = other.zeros_like();
        assert_eq!(adaptive_weight(&features, &weights, [&(wanted * 1e3), &nothing], &share), LARGEST);
    }
}
