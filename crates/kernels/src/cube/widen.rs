//! Launches `shaders/widen.wgsl` and `shaders/widen_blocks.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::CubeBackend;
use super::launch::{Bound, THREADS, empty, launch, shader};
#[cfg(test)]
use super::texts::Text;
use crate::weights::{StoredWeights, Weights};

shader!(Widen, WIDEN);
shader!(WidenBlocks, WIDEN_BLOCKS);

/// The `Parameters` of `shaders/widen.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct WidenParameters {
    count: u32,
}

/// The `Parameters` of `shaders/widen_blocks.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct WidenBlocksParameters {
    words: u32,
}

/// [`crate::operations::Kernels::residua_widen`].
pub fn widen(weights: StoredWeights<CubeBackend>) -> CubeTensor {
    match weights {
        StoredWeights::Dense(half) => widen_half(into_contiguous(half)),
        StoredWeights::Blocks { packed, scales } => {
            widen_blocks(into_contiguous(packed), into_contiguous(scales))
        }
    }
}

fn widen_half(half: CubeTensor) -> CubeTensor {
    assert!(half.dtype == DType::F16, "expected f16 weights");
    let single = empty(&half, half.meta.shape().clone(), DType::F32);
    let count = half.meta.shape().num_elements() as u32;
    let buffers = [Bound::weights(&half), Bound::values(&single)];
    launch(Widen, THREADS, count.div_ceil(2 * THREADS), &buffers, &WidenParameters { count });
    single
}

fn widen_blocks(packed: CubeTensor, scales: CubeTensor) -> CubeTensor {
    let [outputs, columns] = [0, 1].map(|dim| packed.meta.shape()[dim]);
    let single = empty(&scales, Shape::new([outputs, columns * Weights::PACKED]), DType::F32);
    let words = (outputs * columns) as u32;
    let buffers = [Bound::weights(&packed), Bound::weights(&scales), Bound::values(&single)];
    launch(WidenBlocks, THREADS, words.div_ceil(THREADS), &buffers, &WidenBlocksParameters { words });
    single
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![
        Text::fixed("widen", THREADS, Widen::SOURCE),
        Text::fixed("widen_blocks", THREADS, WidenBlocks::SOURCE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shaders_agree_on_the_parameters() {
        assert_same_parameters!(Widen::SOURCE, WidenParameters { count: Uint });
        assert_same_parameters!(WidenBlocks::SOURCE, WidenBlocksParameters { words: Uint });
    }
}
