//! Self-attention: causal, over whole sequences or one position at a time with a cache; or full.

use std::sync::{Arc, Mutex};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};

use super::cube::{decode_attention_fits, whole_attention_fits};
use super::matmul::matmul;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};
use super::{GpuKernel, cpu};
use crate::dropout::Dropout;

pub use super::cpu::attention::Reach;

/// The cache of the CPU kernel. Shared, because a Burn operation can't take it any other way.
pub type HostCache = Arc<Mutex<cpu::attention::KvCache>>;

/// Keys and values of the positions seen so far, in buffers allocated once.
#[derive(Debug)]
pub struct KvCache {
    buffers: Buffers,
    length: usize,
}

#[derive(Debug)]
enum Buffers {
    Host(HostCache),
    /// Keys `[B, heads, head_dim, capacity]` and values `[B, heads, capacity, head_dim]`: adjacent threads read
    /// the same element of adjacent keys, and adjacent elements of one value. `None` only while they are being
    /// written, so
    /// that a second handle does not turn the write into a copy.
    Device(Option<Box<[Tensor<4>; 2]>>),
}

/// The buffers of a [`KvCache`] as tensors of a backend.
#[derive(ExtensionType)]
pub enum StoredCache<B: Backend> {
    /// For the CPU kernel.
    Host(HostCache),
    /// For the GPU kernel.
    Device {
        /// Keys, `[B, heads, head_dim, capacity]`.
        keys: FloatTensor<B>,
        /// Values, `[B, heads, capacity, head_dim]`.
        values: FloatTensor<B>,
    },
}

impl KvCache {
    /// A cache with room for `capacity` positions of `batch` sequences.
    pub fn new(batch: usize, heads: usize, capacity: usize, head_dim: usize, device: &Device) -> Self {
        // The GPU kernel takes tensors, so only the CPU kernel has a cache of its own.
        let buffers = match route(device, None, Gradient::Nowhere) {
            Route::Kernel => {
                let cache = cpu::attention::KvCache::new(batch, heads, head_dim, capacity);
                Buffers::Host(Arc::new(Mutex::new(cache)))
            }
            Route::Composed => Self::device_buffers(batch, heads, capacity, head_dim, device),
        };
        Self { buffers, length: 0 }
    }

    /// The same for [`composed`], which can't use the CPU kernel's own cache.
    pub fn of_burn(batch: usize, heads: usize, capacity: usize, head_dim: usize, device: &Device) -> Self {
        Self { buffers: Self::device_buffers(batch, heads, capacity, head_dim, device), length: 0 }
    }

    fn device_buffers(
        batch: usize,
        heads: usize,
        capacity: usize,
        head_dim: usize,
        device: &Device,
    ) -> Buffers {
        let zeros = |[rows, columns]: [usize; 2]| Tensor::zeros([batch, heads, rows, columns], device);
        Buffers::Device(Some(Box::new([[head_dim, capacity], [capacity, head_dim]].map(zeros))))
    }

    /// Number of cached positions.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Forgets all positions but keeps the buffers.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Forgets the positions from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// What computes attention of `count` new positions.
    fn route(&self, count: usize, device: &Device) -> Route {
        let variant = match &self.buffers {
            Buffers::Device(Some(buffers)) => {
                let [_, _, head_dim, capacity] = buffers[0].dims();
                decode_attention_fits(count, capacity, head_dim).then(|| GpuKernel::DecodeAttention.into())
            }
            _ => None,
        };
        route(device, variant, Gradient::Nowhere)
    }

    /// The buffers as the argument of a backend operation.
    fn stored(&self) -> StoredCache<Dispatch> {
        match &self.buffers {
            Buffers::Host(host) => StoredCache::Host(host.clone()),
            Buffers::Device(buffers) => {
                let buffers = buffers.as_deref().expect("every write puts the buffers back");
                let [keys, values] = buffers.clone().map(Tensor::into_dispatch);
                StoredCache::Device { keys, values }
            }
        }
    }
}

/// Causal attention over `qkv` `[B, T, 3 C]` (queries, keys and values concatenated), with `heads` heads and
/// scale `head_dim^-1/2`. With a cache, the `T` positions follow the cached ones. The result is `[B, T, C]`.
pub fn attend(qkv: Tensor<3>, heads: usize, cache: Option<&mut KvCache>) -> Tensor<3> {
    let Some(cache) = cache else { return whole(qkv, heads, Reach::Before) };
    match cache.route(qkv.dims()[1], &qkv.device()) {
        Route::Kernel => cached(qkv, cache),
        Route::Composed => composed(qkv, heads, Some(cache)),
    }
}

/// Full attention: every position of `qkv` `[B, T, 3 C]` attends to all positions. Otherwise like [`attend`].
pub fn attend_all(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    whole(qkv, heads, Reach::All)
}

/// Attention over whole sequences in training, with dropout on the attention weights.
pub fn attend_dropping(qkv: Tensor<3>, heads: usize, reach: Reach, dropout: &Dropout) -> Tensor<3> {
    match reach {
        Reach::Before => weighted(qkv, heads, None, |weights| dropout.apply(weights)),
        Reach::All => weighted_all(qkv, heads, |weights| dropout.apply(weights)),
    }
}

/// Attention over whole sequences.
fn whole(qkv: Tensor<3>, heads: usize, reach: Reach) -> Tensor<3> {
    let fits = whole_attention_fits(qkv.dims()[2] / 3 / heads);
    let variant = fits.then(|| GpuKernel::Attention.into());
    match (route(&qkv.device(), variant, Gradient::OnCpu), reach) {
        (Route::Kernel, _) => {
            Tensor::from_dispatch(Dispatch::residua_attention(qkv.into_dispatch(), heads, reach))
        }
        (Route::Composed, Reach::Before) => composed(qkv, heads, None),
        (Route::Composed, Reach::All) => composed_all(qkv, heads),
    }
}

/// [`attend`] with a kernel, which writes to the cache in place.
fn cached(qkv: Tensor<3>, cache: &mut KvCache) -> Tensor<3> {
    let length = qkv.dims()[1];
    let y = Dispatch::residua_cached_attention(qkv.into_dispatch(), cache.stored(), cache.length);
    cache.length += length;
    Tensor::from_dispatch(y)
}

/// [`attend`] built from matrix products and Burn's own operations.
pub fn composed(qkv: Tensor<3>, heads: usize, cache: Option<&mut KvCache>) -> Tensor<3> {
    weighted(qkv, heads, cache, |weights| weights)
}

/// The same, with `change` applied to the attention weights `[B, heads, queries, keys]`.
fn weighted(
    qkv: Tensor<3>,
    heads: usize,
    cache: Option<&mut KvCache>,
    change: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<3> {
    let (device, length) = (qkv.device(), qkv.dims()[1]);
    let [queries, added @ ..] = parts(qkv, heads);
    let before = cache.as_ref().map_or(0, |cache| cache.length);
    let [keys, values] = match cache {
        Some(cache) => append(cache, added),
        None => added,
    };
    let mut scores = scores(queries, keys);
    if length > 1 {
        scores = scores.mask_fill(later(length, before, &device), f32::NEG_INFINITY);
    }
    joined(matmul(change(softmax(scores, 3)), values))
}

/// [`attend_all`] built from matrix products and Burn's own operations.
pub fn composed_all(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    weighted_all(qkv, heads, |weights| weights)
}

/// The same, with `change` applied to the attention weights `[B, heads, queries, keys]`.
fn weighted_all(qkv: Tensor<3>, heads: usize, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<3> {
    let [queries, keys, values] = parts(qkv, heads);
    joined(matmul(change(softmax(scores(queries, keys), 3)), values))
}

/// Splits `[B, T, 3 C]` into queries, keys and values `[B, heads, T, head_dim]`.
fn parts(qkv: Tensor<3>, heads: usize) -> [Tensor<4>; 3] {
    let [batch, length, width] = qkv.dims();
    let channels = width / 3;
    [0, 1, 2].map(|i| {
        let part = qkv.clone().slice([0..batch, 0..length, i * channels..(i + 1) * channels]);
        part.reshape([batch, length, heads, channels / heads]).swap_dims(1, 2)
    })
}

/// Scaled dot products of queries and keys, `[B, heads, queries, keys]`.
fn scores(queries: Tensor<4>, keys: Tensor<4>) -> Tensor<4> {
    let head_dim = queries.dims()[3];
    matmul(queries, keys.swap_dims(2, 3)) * (head_dim as f32).powf(-0.5)
}

/// `[B, heads, T, head_dim]` as `[B, T, C]`.
fn joined(y: Tensor<4>) -> Tensor<3> {
    let [batch, heads, length, head_dim] = y.dims();
    y.swap_dims(1, 2).reshape([batch, length, heads * head_dim])
}

/// Appends keys and values `[B, heads, T, head_dim]` and returns all cached ones,
/// `[B, heads, length, head_dim]`.
fn append(cache: &mut KvCache, added: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
    let Buffers::Device(buffers) = &mut cache.buffers else {
        unreachable!("a cache is on the device of its tensors")
    };
    let [batch, heads, count, head_dim] = added[0].dims();
    let new = cache.length..cache.length + count;
    cache.length += count;
    let [keys, values] = *buffers.take().expect("every write puts the buffers back");
    let [new_keys, new_values] = added;
    let keys = keys.slice_assign([0..batch, 0..heads, 0..head_dim, new.clone()], new_keys.swap_dims(2, 3));
    let values = values.slice_assign([0..batch, 0..heads, new, 0..head_dim], new_values);
    let held_keys = keys.clone().slice([0..batch, 0..heads, 0..head_dim, 0..cache.length]);
    let held_values = values.clone().slice([0..batch, 0..heads, 0..cache.length, 0..head_dim]);
    *buffers = Some(Box::new([keys, values]));
    [held_keys.swap_dims(2, 3), held_values]
}

/// The causal mask `[1, 1, length, before + length]`: true where a key comes after the query.
fn later(length: usize, before: usize, device: &Device) -> Tensor<4, Bool> {
    let keys = before + length;
    let mask: Vec<bool> = (0..length * keys).map(|i| i % keys > before + i / keys).collect();
    Tensor::from_data(TensorData::new(mask, [1, 1, length, keys]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::values;
    use residua_testing::{assert_close, poison, tensor};

    /// Processing positions one by one or in pieces gives the same result as all at once, in the kernel and
    /// in the composed version.
    #[test]
    fn cached_matches_uncached_and_kernel_matches_composed() {
        let device = Device::flex();
        for (batch, heads, head_dim, length) in [(1, 3, 16, 6), (2, 4, 10, 9)] {
            let width = heads * head_dim;
            let qkv = tensor([batch, length, 3 * width], 5, &device);
            let whole = values(composed(qkv.clone(), heads, None));
            assert_close(&values(attend(qkv.clone(), heads, None)), &whole, 1e-5);
            for pieces in [vec![1; length], vec![length - 2, 1, 1], vec![3, length - 3]] {
                let mut kernel = KvCache::new(batch, heads, length, head_dim, &device);
                let mut twin = KvCache::of_burn(batch, heads, length, head_dim, &device);
                let (mut by_kernel, mut by_twin) = (Vec::new(), Vec::new());
                for piece in pieces {
                    let from = kernel.length();
                    let part = qkv.clone().slice([0..batch, from..from + piece, 0..3 * width]);
                    by_kernel.push(attend(part.clone(), heads, Some(&mut kernel)));
                    by_twin.push(composed(part, heads, Some(&mut twin)));
                }
                assert_close(&values(Tensor::cat(by_kernel, 1)), &whole, 1e-5);
                assert_close(&values(Tensor::cat(by_twin, 1)), &whole, 1e-5);
            }
        }
    }

    /// A cache filled with NaN: a read beyond its length would show in every result.
    fn poisoned(batch: usize, heads: usize, capacity: usize, head_dim: usize, device: &Device) -> KvCache {
        let nans =
            |[rows, columns]: [usize; 2]| Tensor::full([batch, heads, rows, columns], f32::NAN, device);
        let buffers = [[head_dim, capacity], [capacity, head_dim]].map(nans);
        KvCache { buffers: Buffers::Device(Some(Box::new(buffers))), length: 0 }
    }

    #[test]
    fn gpu_and_cpu_agree() {
        let (host, gpu) = (Device::flex(), gpu());
        let shapes = [
            (1, 1, 1, 5),
            (1, 16, 64, 20),
            (2, 3, 10, 9),
            (3, 5, 17, 12),
            (4, 2, 128, 6),
            (5, 1, 255, 4),
            (7, 4, 256, 3),
            (9, 3, 100, 5),
            (1, 2, 33, 300),
            (1, 1, 257, 4),
        ];
        for (seed, (batch, heads, head_dim, length)) in (0..).zip(shapes) {
            let width = heads * head_dim;
            let qkv = tensor::<3>([batch, length, 3 * width], seed, &host) * 2.0;
            let expected = attend(qkv.clone(), heads, None);
            let qkv = Tensor::<3>::from_data(qkv.into_data(), &gpu);
            let mut cache = poisoned(batch, heads, length + 2, head_dim, &gpu);
            // Single steps, two positions at once in the middle, and a rewound step that is repeated.
            let whole = |range: std::ops::Range<usize>| [0..batch, range, 0..3 * width];
            let mut parts = Vec::new();
            while cache.length() < length {
                let at = cache.length();
                let count = if at == 1 { 2 } else { 1 };
                drop(Tensor::<3>::full([batch, 1, width], f32::NAN, &gpu));
                let part = attend(qkv.clone().slice(whole(at..at + count)), heads, Some(&mut cache));
                if at == 0 {
                    attend(qkv.clone().slice(whole(2..3)), heads, Some(&mut cache));
                    cache.truncate(1);
                }
                parts.push(part);
            }
            println!("{batch} x {heads} heads of {head_dim}, {length} positions");
            assert_close(&values(Tensor::cat(parts, 1)), &values(expected), 1e-4);
        }
    }

    /// Of lengths around the kernel's tiles; the last head is too large for it.
    #[test]
    fn whole_sequences_agree_on_gpu_and_cpu() {
        let (host, gpu) = (Device::flex(), gpu());
        // A kernel that fails its own check would be replaced, and nothing compared.
        GpuKernel::Attention.switch(true);
        let shapes = [
            (1, 1, 1, 1),
            (2, 3, 10, 15),
            (1, 6, 32, 16),
            (3, 2, 64, 17),
            (1, 16, 64, 64),
            (2, 1, 7, 129),
            (1, 2, 65, 20),
        ];
        for (seed, (batch, heads, head_dim, length)) in (0..).zip(shapes) {
            let qkv = tensor::<3>([batch, length, 3 * heads * head_dim], seed, &host) * 2.0;
            let on_gpu = Tensor::<3>::from_data(qkv.clone().into_data(), &gpu);
            for reach in [Reach::Before, Reach::All] {
                println!("{batch} x {heads} heads of {head_dim}, {length} positions, {reach:?}");
                poison([batch, length, heads * head_dim], &gpu);
                let found = values(whole(on_gpu.clone(), heads, reach));
                assert_close(&found, &values(whole(qkv.clone(), heads, reach)), 1e-4);
            }
        }
    }

    /// Without a mask, permuting the positions permutes the result.
    #[test]
    fn full_attention_is_permutation_equivariant() {
        let (batch, length, heads, head_dim) = (2, 7, 3, 10);
        for device in [Device::flex(), gpu()] {
            let qkv = tensor::<3>([batch, length, 3 * heads * head_dim], 4, &device);
            let y = attend_all(qkv.clone(), heads);
            assert_close(
                &values(attend_all(qkv.clone().flip([1]), heads)),
                &values(y.clone().flip([1])),
                1e-5,
            );
            // The last position sees the same with causal attention.
            let last = |y: Tensor<3>| values(y.slice([0..batch, length - 1..length, 0..heads * head_dim]));
            assert_close(&last(y), &last(composed(qkv, heads, None)), 1e-5);
        }
    }

    #[test]
    fn gpu_results_do_not_depend_on_the_batch() {
        let gpu = gpu();
        let (batch, heads, head_dim, length) = (5, 3, 40, 7);
        let qkv = tensor::<3>([batch, length, 3 * heads * head_dim], 8, &gpu);
        let decoded = |sequences: std::ops::Range<usize>| {
            let mut cache = poisoned(sequences.len(), heads, length, head_dim, &gpu);
            let steps = (0..length).map(|i| {
                let part = qkv.clone().slice([sequences.clone(), i..i + 1, 0..3 * heads * head_dim]);
                attend(part, heads, Some(&mut cache))
            });
            values(Tensor::cat(steps.collect(), 1))
        };
        let alone: Vec<f32> = (0..batch).flat_map(|i| decoded(i..i + 1)).collect();
        assert_eq!(decoded(0..batch), alone);
    }
}
