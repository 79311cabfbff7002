//! Launches `shaders/group_norm_statistics.wgsl` and `shaders/group_norm_silu.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, THREADS, empty, launch, shader};
#[cfg(test)]
use super::texts::Text;
use crate::group_norm::Norm;

/// Values in one part of a group, which one workgroup handles. Parts are larger if there would be more than
/// `THREADS` of them.
const PART: usize = 8192;

shader!(Statistics, GROUP_NORM_STATISTICS);

/// The `Parameters` of `shaders/group_norm_statistics.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parts {
    groups: u32,
    group_size: u32,
    part_size: u32,
    parts: u32,
}

shader!(Normalize, GROUP_NORM_SILU);

/// The `Parameters` of `shaders/group_norm_silu.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    groups: u32,
    group_size: u32,
    part_size: u32,
    parts: u32,
    channels: u32,
    spatial: u32,
    epsilon: f32,
    silu: u32,
}

/// Normalizes contiguous f32 tensors: `x` `[B, C, H, W]`, `gamma` and `beta` `[C]`; the groups divide C.
pub fn group_norm(x: CubeTensor, gamma: &CubeTensor, beta: &CubeTensor, norm: Norm) -> CubeTensor {
    let Norm { groups, epsilon, silu } = norm;
    let [batch, channels, height, width] = [0, 1, 2, 3].map(|dim| x.meta.shape()[dim]);
    let size = channels / groups * height * width;
    let part_size = PART.max(size.div_ceil(THREADS as usize));
    let (groups, parts) = (batch * groups, size.div_ceil(part_size));
    let statistics = empty(&x, Shape::new([groups, parts, 2]), DType::F32);
    let y = empty(&x, x.meta.shape().clone(), DType::F32);
    let of = Parts {
        groups: groups as u32,
        group_size: size as u32,
        part_size: part_size as u32,
        parts: parts as u32,
    };
    let workgroups = of.groups * of.parts;
    if workgroups == 0 {
        return y;
    }
    let [x, statistics, output] = [&x, &statistics, &y].map(Bound::values);
    launch(Statistics, THREADS, workgroups, &[x, statistics], &of);
    let Parts { groups, group_size, part_size, parts } = of;
    let parameters = Parameters {
        groups,
        group_size,
        part_size,
        parts,
        channels: channels as u32,
        spatial: (height * width) as u32,
        epsilon,
        silu: silu.into(),
    };
    let buffers = [x, statistics, Bound::weights(gamma), Bound::weights(beta), output];
    launch(Normalize, THREADS, workgroups, &buffers, &parameters);
    y
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![
        Text::fixed("group_norm_statistics", THREADS, Statistics::SOURCE),
        Text::fixed("group_norm_silu", THREADS, Normalize::SOURCE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shaders_agree() {
        assert_same_parameters!(
            Statistics::SOURCE,
            Parts { groups: Uint, group_size: Uint, part_size: Uint, parts: Uint }
        );
        assert_same_parameters!(
            Normalize::SOURCE,
            Parameters {
                groups: Uint,
                group_size: Uint,
                part_size: Uint,
                parts: Uint,
                channels: Uint,
                spatial: Uint,
                epsilon: Float,
                silu: Uint,
            }
        );
    }
}
