//! Launches `shaders/normed_linear.wgsl`.

use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Shader, plain};
use super::layer::Operands;
use super::linear::{FewRows, Prepared};
#[cfg(test)]
use super::texts::Text;
use super::{Activation, CubeBackend};
use crate::weights::StoredWeights;
use residua_shaders::NORMED_LINEAR;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NormedLinear(FewRows);

impl Shader for NormedLinear {
    const FILE: &'static str = NORMED_LINEAR.file;

    fn source(&self) -> String {
        self.0.suited(NORMED_LINEAR.source, 6)
    }
}

/// [`crate::operations::Kernels::residua_normed_linear`] for layers with a [`variant`](super::linear::variant).
pub fn normed_linear(
    x: CubeTensor,
    [gamma, beta]: [CubeTensor; 2],
    epsilon: f32,
    weights: StoredWeights<CubeBackend>,
    bias: CubeTensor,
    activation: Activation,
) -> CubeTensor {
    let mut layer = Prepared::new(Operands::new(x, weights, bias), activation);
    layer.parameters.epsilon = epsilon;
    let (gamma, beta) = (plain(gamma), plain(beta));
    for scale in [&gamma, &beta] {
        assert_eq!(
            scale.meta.shape()[..],
            layer.operands.x.meta.shape()[1..],
            "gamma and beta must be as wide as a row"
        );
    }
    let y = layer.operands.result(None);
    layer.launch(NormedLinear(layer.kernel), &y, &[&gamma, &beta].map(Bound::weights));
    y
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let text = |kernel: FewRows| kernel.text("normed_linear", NormedLinear(kernel).source());
    FewRows::all().into_iter().map(text).collect()
}
