//! Launches `shaders/decode_attention.wgsl` and `shaders/attention.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, THREADS, empty, launch, plain, shader};
#[cfg(test)]
use super::texts::Text;
use crate::attention::Reach;

/// Largest head and longest cache that fit in workgroup memory.
const LARGEST_HEAD: usize = 256;
const MOST_POSITIONS: usize = 3072;

/// Whether the kernel supports `length` new positions against a cache of `capacity` positions.
pub fn fits(length: usize, capacity: usize, head_dim: usize) -> bool {
    length == 1 && capacity <= MOST_POSITIONS && (1..=LARGEST_HEAD).contains(&head_dim)
}

shader!(DecodeAttention, DECODE_ATTENTION);

/// The `Parameters` of `shaders/decode_attention.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct DecodeAttentionParameters {
    heads_in_all: u32,
    heads: u32,
    head_dim: u32,
    capacity: u32,
    position: u32,
    scale: f32,
}

/// [`crate::operations::Kernels::residua_cached_attention`] for one position.
pub fn decode_attention(
    qkv: CubeTensor,
    keys: CubeTensor,
    values: CubeTensor,
    position: usize,
) -> CubeTensor {
    let qkv = plain(qkv);
    let [batch, heads, capacity, head_dim] = [0, 1, 2, 3].map(|dim| values.meta.shape()[dim]);
    assert!(fits(qkv.meta.shape()[1], capacity, head_dim), "the cache does not fit the kernel");
    assert!(position < capacity, "position {position} in a cache of {capacity}");
    assert_eq!(
        qkv.meta.shape()[..],
        [batch, 1, 3 * heads * head_dim],
        "qkv is [batch, 1, 3, heads, head_dim]"
    );
    assert_eq!(
        keys.meta.shape()[..],
        [batch, heads, head_dim, capacity],
        "keys are [batch, heads, head_dim, capacity]"
    );
    for cache in [&keys, &values] {
        // Otherwise the kernel would write to a copy.
        assert!(cache.is_contiguous() && cache.dtype == DType::F32, "caches must be contiguous f32");
    }
    let y = empty(&qkv, Shape::new([batch, 1, heads * head_dim]), DType::F32);
    let parameters = DecodeAttentionParameters {
        heads_in_all: (batch * heads) as u32,
        heads: heads as u32,
        head_dim: head_dim as u32,
        capacity: capacity as u32,
        position: position as u32,
        scale: (head_dim as f32).powf(-0.5),
    };
    // Of the caches, the positions so far.
    let cached = batch * heads * (position + 1) * head_dim;
    let [keys, values] = [&keys, &values].map(|cache| Bound::values(cache).part(cached));
    let buffers = [Bound::values(&qkv), keys, values, Bound::values(&y)];
    launch(DecodeAttention, THREADS, parameters.heads_in_all, &buffers, &parameters);
    y
}

/// Largest head of `shaders/attention.wgsl`, which has room for a tile of queries and one of keys.
const LARGEST_WHOLE_HEAD: usize = 64;

/// Threads of a workgroup of `shaders/attention.wgsl`, and the queries that they compute.
const WHOLE_THREADS: u32 = 64;
const QUERIES: u32 = 16;

/// Whether `shaders/attention.wgsl` takes heads of this size.
pub fn whole_fits(head_dim: usize) -> bool {
    (1..=LARGEST_WHOLE_HEAD).contains(&head_dim)
}

shader!(Attention, ATTENTION);

/// The `Parameters` of `shaders/attention.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct AttentionParameters {
    tiles_in_all: u32,
    tiles: u32,
    heads: u32,
    head_dim: u32,
    length: u32,
    causal: u32,
    scale: f32,
}

/// [`crate::operations::Kernels::residua_attention`].
pub fn attention(qkv: CubeTensor, heads: usize, reach: Reach) -> CubeTensor {
    let qkv = plain(qkv);
    let [batch, length, width] = [0, 1, 2].map(|dim| qkv.meta.shape()[dim]);
    let head_dim = width / 3 / heads;
    assert!(
        whole_fits(head_dim) && 3 * heads * head_dim == width,
        "qkv is [batch, length, 3, heads, head_dim]"
    );
    let y = empty(&qkv, Shape::new([batch, length, heads * head_dim]), DType::F32);
    let tiles = (length as u32).div_ceil(QUERIES);
    let parameters = AttentionParameters {
        tiles_in_all: (batch * heads) as u32 * tiles,
        tiles,
        heads: heads as u32,
        head_dim: head_dim as u32,
        length: length as u32,
        causal: u32::from(reach == Reach::Before),
        scale: (head_dim as f32).powf(-0.5),
    };
    let buffers = [&qkv, &y].map(Bound::values);
    launch(Attention, WHOLE_THREADS, parameters.tiles_in_all, &buffers, &parameters);
    y
}

/// All shader sources launched here.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![
        Text::fixed("decode_attention", THREADS, DecodeAttention::SOURCE),
        Text::fixed("attention", WHOLE_THREADS, Attention::SOURCE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shader_agree() {
        assert_same_parameters!(
            DecodeAttention::SOURCE,
            DecodeAttentionParameters {
                heads_in_all: Uint,
                heads: Uint,
                head_dim: Uint,
                capacity: Uint,
                position: Uint,
                scale: Float
            }
        );
        assert_same_parameters!(
            Attention::SOURCE,
            AttentionParameters {
                tiles_in_all: Uint,
                tiles: Uint,
                heads: Uint,
                head_dim: Uint,
                length: Uint,
                causal: Uint,
                scale: Float
            }
        );
        for (name, number) in [
            ("LARGEST_HEAD", LARGEST_WHOLE_HEAD),
            ("THREADS", WHOLE_THREADS as usize),
            ("QUERIES", QUERIES as usize),
        ] {
            assert!(Attention::SOURCE.contains(&format!("const {name} = {number}u;")));
        }
        for (name, number) in [("LARGEST_HEAD", LARGEST_HEAD), ("MOST_POSITIONS", MOST_POSITIONS)] {
            assert!(DecodeAttention::SOURCE.contains(&format!("const {name} = {number}u;")));
        }
    }
}
