//! The WGSL kernels of `shaders/` as operations of Burn's GPU backend, one file per kernel.

mod attention;
#[cfg(test)]
mod bounds;
#[cfg(test)]
pub(super) mod checks;
mod conv2d;
mod embed_codes;
mod group_norm;
pub(super) mod launch;
mod layer;
mod layer_norm;
mod linear;
mod matmul;
mod normed_linear;
mod residual_quantize;
mod sample_token;
#[cfg(test)]
pub(super) mod texts;
mod tiled_linear;
mod widen;

use burn_cubecl::{CubeBackend, tensor::CubeTensor};

use super::attention::{Reach, StoredCache};
use super::embed::{Lookup, StoredTable};
use super::group_norm::Norm;
use super::operations::{Addend, Kernels};
use super::sample_token::Draw;
use super::weights::StoredWeights;
use super::{Activation, Resample};
pub(super) use attention::{fits as decode_attention_fits, whole_fits as whole_attention_fits};
pub(super) use conv2d::variants as conv2d_variants;
use launch::plain;
pub(super) use layer::variant as linear_variant;
pub(super) use linear::variant as few_rows_variant;
pub(super) use matmul::variants as matmul_variants;
pub(super) use residual_quantize::variant as residual_quantize_variant;
pub(super) use sample_token::variant as sample_token_variant;

impl Kernels for CubeBackend {
    fn residua_conv2d(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, resample: Resample) -> CubeTensor {
        conv2d::conv2d(plain(x), &plain(weight), &plain(bias), resample)
    }

    fn residua_group_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, norm: Norm) -> CubeTensor {
        group_norm::group_norm(plain(x), &plain(gamma), &plain(beta), norm)
    }

    fn residua_layer_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f32) -> CubeTensor {
        layer_norm::layer_norm(x, gamma, beta, epsilon)
    }

    fn residua_linear(
        x: CubeTensor,
        weights: StoredWeights<Self>,
        bias: CubeTensor,
        activation: Activation,
        residual: Addend<Self>,
    ) -> CubeTensor {
        layer::layer(x, weights, bias, activation, residual.values())
    }

    fn residua_normed_linear(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        epsilon: f32,
        weights: StoredWeights<Self>,
        bias: CubeTensor,
        activation: Activation,
    ) -> CubeTensor {
        normed_linear::normed_linear(x, [gamma, beta], epsilon, weights, bias, activation)
    }

    fn residua_matmul(a: CubeTensor, b: CubeTensor) -> CubeTensor {
        matmul::matmul(a, b)
    }

    fn residua_widen(weights: StoredWeights<Self>) -> CubeTensor {
        widen::widen(weights)
    }

    fn residua_attention(qkv: CubeTensor, heads: usize, reach: Reach) -> CubeTensor {
        attention::attention(qkv, heads, reach)
    }

    fn residua_cached_attention(qkv: CubeTensor, cache: StoredCache<Self>, position: usize) -> CubeTensor {
        let StoredCache::Device { keys, values } = cache else {
            unreachable!("a cache is on the device of its tensors")
        };
        attention::decode_attention(qkv, keys, values, position)
    }

    fn residua_sample_token(logits: CubeTensor, codes: CubeTensor, column: usize, draw: Draw) -> CubeTensor {
        sample_token::sample_token(logits, codes, column, &draw)
    }

    fn residua_residual_quantize(
        latents: CubeTensor,
        table: StoredTable<Self>,
        norms: CubeTensor,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        residual_quantize::residual_quantize(latents, table.rows, norms, &table.places)
    }

    fn residua_embed_codes(
        codes: CubeTensor,
        table: StoredTable<Self>,
        lookup: Lookup,
        onto: Addend<Self>,
    ) -> CubeTensor {
        embed_codes::embed_codes(codes, table.rows, table.places_there, lookup, onto.values())
    }
}

#[cfg(test)]
mod tests {
    use super::{bounds, texts};
    use crate::check::{Check, checks};
    use crate::gpu;
    use crate::{Grain, Variant};
    use burn::tensor::Device;
    use std::collections::BTreeSet;

    /// No kernel reads or writes outside its buffers, and the checks, which let the host choose the variant,
    /// launch every shader source that the host can build.
    #[test]
    fn checks_cover_every_shader_and_stay_within_buffers() {
        let device = gpu();
        let mut launched = BTreeSet::new();
        for grain in Grain::ALL {
            let by_variant = grain.during(|| launched_by_variant(&device));
            // Each variant needs its own source: a verdict on one says nothing about another.
            let different: BTreeSet<&BTreeSet<String>> = by_variant.iter().map(|(_, texts)| texts).collect();
            assert_eq!(different.len(), by_variant.len(), "two variants have the same source");
            launched.extend(by_variant.into_iter().flat_map(|(_, texts)| texts));
        }
        let unchecked: Vec<String> = texts::computing()
            .filter(|text| !launched.contains(&text.source))
            .map(|text| text.name())
            .collect();
        assert!(unchecked.is_empty(), "no check launches {unchecked:?}");
    }

    /// The sources that the checks of each variant launch.
    fn launched_by_variant(device: &Device) -> Vec<(Variant, BTreeSet<String>)> {
        let mut by_variant: Vec<(Variant, BTreeSet<String>)> = Vec::new();
        for Check { variant, shape, work, .. } in checks() {
            println!("{variant:?} {shape}");
            // Otherwise its first use would start another check.
            variant.switch(true);
            let (reading, launched) = bounds::watched(|| work(device));
            pollster::block_on(reading).unwrap();
            match by_variant.iter_mut().find(|(other, _)| *other == variant) {
                Some((_, texts)) => texts.extend(launched),
                None => by_variant.push((variant, launched)),
            }
        }
        by_variant
    }
}
