//! The WGSL kernels of `shaders/` as operations of Burn's GPU backend, one file per kernel, and the code that
//! launches them.

/// A shader with a fixed source: `NAME::SOURCE` is the contents of `shaders/FILE`.
macro_rules! shader {
    ($name:ident, $file:literal) => {
        struct $name;

        impl $name {
            const SOURCE: &'static str =
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shaders/", $file));
        }

        impl burn_cubecl::template::KernelSource for $name {
            fn source(&self) -> burn_cubecl::template::SourceTemplate {
                burn_cubecl::template::SourceTemplate::new(Self::SOURCE)
            }

            fn id(&self) -> burn_cubecl::cubecl::prelude::KernelId {
                burn_cubecl::cubecl::prelude::KernelId::new::<Self>()
            }

            fn lang(&self) -> &'static str {
                "wgsl"
            }
        }
    };
}

mod attention;
#[cfg(test)]
mod bounds;
#[cfg(test)]
pub(super) mod checks;
mod conv2d;
mod embed_codes;
mod group_norm;
mod layer_norm;
mod linear;
mod matmul;
mod residual_quantize;
mod sample_token;
#[cfg(test)]
pub(super) mod texts;
mod widen;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ExecutionMode;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel};
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

use super::attention::Reach;
use super::embed::{Lookup, Place};
use super::sample_token::Draw;
use super::weights::StoredWeights;
use super::{Activation, Resample};
pub(super) use attention::{fits as decode_attention_fits, whole_fits as whole_attention_fits};
pub(super) use conv2d::variants as conv2d_variants;
pub(super) use linear::variant as decode_linear_variant;
pub(super) use matmul::variants as matmul_variants;
pub(super) use residual_quantize::variant as residual_quantize_variant;

/// Operations with a hand-written GPU kernel.
#[backend_extension(Cube)]
pub trait GpuKernels: Backend {
    /// [`super::cpu::sample_token::sample_token`]: `[B, V]` to `[B]`.
    fn residua_sample_token(logits: FloatTensor<Self>, draw: Draw) -> IntTensor<Self>;

    /// [`super::cpu::linear::linear`] for layers with a [`decode_linear_variant`]: `[rows, in]` by
    /// `[out, in]`.
    fn residua_decode_linear(
        x: FloatTensor<Self>,
        #[extension_type] weights: StoredWeights<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// The same plus a residual `[rows, out]`. Reuses the residual's buffer for the result if nothing else
    /// refers to it.
    fn residua_decode_linear_onto(
        x: FloatTensor<Self>,
        #[extension_type] weights: StoredWeights<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `[.., M, K]` by `[.., K, N]` to `[.., M, N]`, with equal batch dimensions.
    fn residua_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Converts weights `[out, in]` from f16 or 8 bits to f32.
    fn residua_widen(#[extension_type] weights: StoredWeights<Self>) -> FloatTensor<Self>;

    /// [`super::cpu::layer_norm::layer_norm`] over `[rows, C]`.
    fn residua_row_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::attention::attention`] for one new position, if [`decode_attention_fits`]: `[B, 1, 3 C]`
    /// to `[B, 1, C]`. Keys and values `[B, heads, capacity, head_dim]` are written in place.
    fn residua_decode_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        position: usize,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::attention::attention`] of whole sequences, if [`whole_attention_fits`]: `[B, T, 3 C]` to
    /// `[B, T, C]`.
    fn residua_whole_attention(qkv: FloatTensor<Self>, heads: usize, reach: Reach) -> FloatTensor<Self>;

    /// [`super::cpu::conv2d::conv2d`]: NCHW by `[out, in, k, k]`.
    fn residua_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::group_norm::group_norm`] over NCHW.
    fn residua_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::residual_quantize::residual_quantize`] for shapes with a [`residual_quantize_variant`].
    /// Maps `[N, C]` to codes `[N, D]`, partial sums `[D, N, C]` and squared residual norms `[N, D]`. The
    /// codebooks are at `places` in a table `[rows, C]`, and `norms` `[1, rows]` are the squared norms of its
    /// rows.
    fn residua_residual_quantize(
        latents: FloatTensor<Self>,
        table: FloatTensor<Self>,
        norms: FloatTensor<Self>,
        places: Vec<Place>,
    ) -> (IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// [`super::cpu::embed_codes::embed_codes`]: looks up codes `[N, columns]` in a table `[rows, C]`; the
    /// result is `[N, outputs, C]`. `places` `[D, 2]` gives the first row and the number of codes of each
    /// depth.
    fn residua_embed_codes(
        codes: IntTensor<Self>,
        table: FloatTensor<Self>,
        places: IntTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self>;

    /// The same added to rows `[n, C]`, used cyclically.
    fn residua_embed_codes_onto(
        codes: IntTensor<Self>,
        table: FloatTensor<Self>,
        places: IntTensor<Self>,
        lookup: Lookup,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Default number of threads per workgroup.
const THREADS: u32 = 256;

/// Most workgroups that WebGPU allows in one dimension.
const MAX_WORKGROUPS: u32 = 65_535;

/// `tensor` as contiguous f32.
pub(super) fn plain(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(cast(tensor, DType::F32))
}

/// A tensor that may be written to: `tensor` if nothing else refers to its buffer, else a copy.
fn own(tensor: CubeTensor) -> CubeTensor {
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// An uninitialized tensor of `shape` on the device of `tensor`.
fn empty(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}

/// A kernel whose source guarantees that its loops end and its accesses stay within its buffers. CubeCL then
/// adds no counters to its loops, which would keep drivers from unrolling them.
struct Unchecked<K>(K);

impl<K: KernelSource> KernelSource for Unchecked<K> {
    fn source(&self) -> burn_cubecl::template::SourceTemplate {
        self.0.source()
    }

    fn id(&self) -> KernelId {
        self.0.id().mode(ExecutionMode::Unchecked)
    }

    fn lang(&self) -> &'static str {
        self.0.lang()
    }
}

/// Runs `kernel` with `buffers` as its first bindings and `parameters` as the last, in at least `workgroups`
/// workgroups of `threads` threads; there may be a few extra workgroups.
fn launch(
    kernel: impl KernelSource,
    threads: u32,
    workgroups: u32,
    buffers: &[&CubeTensor],
    parameters: &impl bytemuck::Pod,
) {
    let width = workgroups.clamp(1, MAX_WORKGROUPS);
    let count = CubeCount::Static(width, workgroups.div_ceil(width), 1);
    let bytes = bytemuck::bytes_of(parameters);
    let mut words = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    let arguments = KernelArguments::new()
        .with_buffers(buffers.iter().map(|tensor| tensor.handle.clone().binding()).collect())
        .with_info(MetadataBindingInfo::custom(words.clone()));
    #[cfg(test)]
    let repeated = bounds::Repeated::before(&kernel, buffers).map(|repeated| (repeated, count.clone()));
    let kernel = SourceKernel::new(Unchecked(kernel), CubeDim::new_1d(threads));
    buffers[0].client.launch(Box::new(kernel), count, arguments);
    #[cfg(test)]
    if let Some((repeated, count)) = repeated {
        repeated.check(threads, count, buffers, words);
    }
}

impl GpuKernels for CubeBackend {
    fn residua_sample_token(logits: CubeTensor, draw: Draw) -> CubeTensor {
        sample_token::sample_token(plain(logits), &draw)
    }

    fn residua_decode_linear(
        x: CubeTensor,
        weights: StoredWeights<Self>,
        bias: CubeTensor,
        activation: Activation,
    ) -> CubeTensor {
        linear::decode_linear(x, weights, bias, activation, None)
    }

    fn residua_decode_linear_onto(
        x: CubeTensor,
        weights: StoredWeights<Self>,
        bias: CubeTensor,
        residual: CubeTensor,
    ) -> CubeTensor {
        linear::decode_linear(x, weights, bias, Activation::None, Some(residual))
    }

    fn residua_matmul(a: CubeTensor, b: CubeTensor) -> CubeTensor {
        matmul::matmul(a, b)
    }

    fn residua_widen(weights: StoredWeights<Self>) -> CubeTensor {
        widen::widen(weights)
    }

    fn residua_row_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f32) -> CubeTensor {
        layer_norm::layer_norm(x, gamma, beta, epsilon)
    }

    fn residua_decode_attention(
        qkv: CubeTensor,
        keys: CubeTensor,
        values: CubeTensor,
        position: usize,
    ) -> CubeTensor {
        attention::decode_attention(qkv, keys, values, position)
    }

    fn residua_whole_attention(qkv: CubeTensor, heads: usize, reach: Reach) -> CubeTensor {
        attention::attention(qkv, heads, reach)
    }

    fn residua_conv2d(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, resample: Resample) -> CubeTensor {
        conv2d::conv2d(plain(x), &plain(weight), &plain(bias), resample)
    }

    fn residua_group_norm(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> CubeTensor {
        group_norm::group_norm(plain(x), &plain(gamma), &plain(beta), groups, epsilon, silu)
    }

    fn residua_residual_quantize(
        latents: CubeTensor,
        table: CubeTensor,
        norms: CubeTensor,
        places: Vec<Place>,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        residual_quantize::residual_quantize(latents, table, norms, &places)
    }

    fn residua_embed_codes(
        codes: CubeTensor,
        table: CubeTensor,
        places: CubeTensor,
        lookup: Lookup,
    ) -> CubeTensor {
        embed_codes::embed_codes(codes, table, places, lookup, None)
    }

    fn residua_embed_codes_onto(
        codes: CubeTensor,
        table: CubeTensor,
        places: CubeTensor,
        lookup: Lookup,
        onto: CubeTensor,
    ) -> CubeTensor {
        embed_codes::embed_codes(codes, table, places, lookup, Some(onto))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, checks};
    use crate::device::{DeviceChoice, open};
    use crate::{Variant, values};
    use burn::backend::Dispatch;
    use burn::tensor::Tensor;
    use std::collections::BTreeSet;

    struct Refused;

    impl KernelSource for Refused {
        fn source(&self) -> burn_cubecl::template::SourceTemplate {
            burn_cubecl::template::SourceTemplate::new("no shader at all")
        }

        fn id(&self) -> KernelId {
            KernelId::new::<Self>()
        }

        fn lang(&self) -> &'static str {
            "wgsl"
        }
    }

    #[backend_extension(Cube)]
    trait Broken: Backend {
        fn refused(x: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    impl Broken for CubeBackend {
        fn refused(x: CubeTensor) -> CubeTensor {
            let y = empty(&x, x.meta.shape().clone(), DType::F32);
            launch(Refused, THREADS, 1, &[&x, &y], &[0u32]);
            y
        }
    }

    /// The kernel check relies on this: reading the result, or an input that the kernel might have written
    /// to, is an error, and nothing else is affected.
    #[test]
    fn a_rejected_shader_fails_at_the_read() {
        let device = open(DeviceChoice::Gpu).unwrap();
        let x = Tensor::<1>::ones([5], &device);
        let y = Tensor::<1>::from_dispatch(Dispatch::refused(x.into_dispatch()));
        let read = pollster::block_on(y.into_data_async());
        assert!(read.is_err(), "{read:?}");
        let after = Tensor::<1>::ones([5], &device) + 1.0;
        assert_eq!(values(after), [2.0; 5]);
    }

    /// No kernel reads or writes outside its buffers, and the checks, which let the host choose the variant,
    /// launch every shader source that the host can build.
    #[test]
    fn checks_cover_every_shader_and_stay_within_buffers() {
        let device = open(DeviceChoice::Gpu).unwrap();
        let mut by_variant: Vec<(Variant, BTreeSet<String>)> = Vec::new();
        for Check { variant, shape, work, .. } in checks() {
            println!("{variant:?} {shape}");
            // Otherwise its first use would start another check.
            variant.switch(true);
            let (reading, launched) = bounds::watched(|| work(&device));
            pollster::block_on(reading).unwrap();
            match by_variant.iter_mut().find(|(other, _)| *other == variant) {
                Some((_, texts)) => texts.extend(launched),
                None => by_variant.push((variant, launched)),
            }
        }
        let launched: BTreeSet<&String> = by_variant.iter().flat_map(|(_, texts)| texts).collect();
        let unchecked: Vec<String> = texts::computing()
            .filter(|text| !launched.contains(&text.source))
            .map(|text| text.name())
            .collect();
        assert!(unchecked.is_empty(), "no check launches {unchecked:?}");
        // Each variant needs its own source: a verdict on one says nothing about another.
        let different: BTreeSet<&BTreeSet<String>> = by_variant.iter().map(|(_, texts)| texts).collect();
        assert_eq!(different.len(), by_variant.len(), "two variants have the same source");
    }
}
