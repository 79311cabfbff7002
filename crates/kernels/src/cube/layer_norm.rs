//! Launches `shaders/layer_norm.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, THREADS, empty, launch, plain, shader};
#[cfg(test)]
use super::texts::Text;

shader!(LayerNorm, LAYER_NORM);

/// The `Parameters` of `shaders/layer_norm.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct LayerNormParameters {
    rows: u32,
    width: u32,
    epsilon: f32,
}

/// [`crate::operations::Kernels::residua_layer_norm`].
pub fn layer_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f32) -> CubeTensor {
    let (x, gamma, beta) = (plain(x), plain(gamma), plain(beta));
    let [rows, width] = [0, 1].map(|dim| x.meta.shape()[dim]);
    for scale in [&gamma, &beta] {
        assert_eq!(scale.meta.shape()[..], [width], "gamma and beta must be as wide as a row");
    }
    let y = empty(&x, Shape::new([rows, width]), DType::F32);
    let parameters = LayerNormParameters { rows: rows as u32, width: width as u32, epsilon };
    let buffers = [Bound::values(&x), Bound::weights(&gamma), Bound::weights(&beta), Bound::values(&y)];
    launch(LayerNorm, THREADS, parameters.rows, &buffers, &parameters);
    y
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![Text::fixed("layer_norm", THREADS, LayerNorm::SOURCE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        assert_same_parameters!(
            LayerNorm::SOURCE,
            LayerNormParameters { rows: Uint, width: Uint, epsilon: Float }
        );
    }
}
