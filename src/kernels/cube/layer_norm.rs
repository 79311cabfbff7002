//! Launches `shaders/layer_norm.wgsl`.

use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::template::{KernelSource, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

use super::{contiguous, empty_beside, launch};

struct LayerNorm;

const LAYER_NORM: &str = include_str!("../../../shaders/layer_norm.wgsl");

impl KernelSource for LayerNorm {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(LAYER_NORM)
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// The `Parameters` of `shaders/layer_norm.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct LayerNormParameters {
    rows: u32,
    width: u32,
    epsilon: f32,
}

/// [`super::GpuKernels::residua_row_norm`].
pub fn layer_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f32) -> CubeTensor {
    let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
    let [rows, width] = [0, 1].map(|dim| x.meta.shape()[dim]);
    for scale in [&gamma, &beta] {
        assert_eq!(scale.meta.shape()[..], [width], "gamma and beta are as wide as a row");
    }
    let y = empty_beside(&x, [rows, width]);
    let parameters = LayerNormParameters { rows: rows as u32, width: width as u32, epsilon };
    launch(LayerNorm, parameters.rows, &[&x, &gamma, &beta, &y], &parameters);
    y
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_parameters, fields};
    use super::*;

    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        let host = fields!(LayerNormParameters, rows: Uint, width: Uint, epsilon: Float);
        assert_parameters(LAYER_NORM, &host, size_of::<LayerNormParameters>());
    }
}
