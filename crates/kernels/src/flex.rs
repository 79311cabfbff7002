//! The CPU kernels as operations of Burn's CPU backend.

use burn::tensor::{DType, TensorData};
use burn_flex::{Flex, FlexTensor};
use bytemuck::cast_slice;

use super::attention::{Reach, StoredCache};
use super::cpu;
use super::cpu::attention::KvCache;
use super::cpu::conv2d::{ConvShape, Resample};
use super::cpu::linear::{Activation, Blocks, Weights};
use super::cpu::residual_quantize::Codes;
use super::embed::{Lookup, Place, StoredTable};
use super::group_norm::Norm;
use super::operations::{Addend, Kernels};
use super::sample_token::Draw;
use super::weights::StoredWeights;

/// A contiguous f32 tensor and its dimensions.
pub(super) struct Contiguous {
    tensor: FlexTensor,
    pub dims: Vec<usize>,
}

impl Contiguous {
    pub fn new(tensor: FlexTensor) -> Self {
        let tensor = tensor.to_contiguous();
        let dims = tensor.layout().shape().iter().copied().collect();
        Self { tensor, dims }
    }

    pub fn values(&self) -> &[f32] {
        self.tensor.as_slice().expect("a contiguous f32 tensor")
    }
}

pub(super) fn tensor(values: Vec<f32>, dims: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims.to_vec()))
}

fn integers(tensor: FlexTensor) -> Vec<i32> {
    tensor.into_data().convert::<i32>().try_to_vec().expect("converted to i32 just above")
}

/// The sizes of the convolution of `x` with `weight`.
pub(super) fn conv_shape(x: &Contiguous, weight: &Contiguous, resample: Resample) -> ConvShape {
    ConvShape {
        batch: x.dims[0],
        in_channels: x.dims[1],
        out_channels: weight.dims[0],
        height: x.dims[2],
        width: x.dims[3],
        kernel: weight.dims[2],
        resample,
    }
}

impl Kernels for Flex {
    fn residua_conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, resample: Resample) -> FlexTensor {
        let (x, weight, bias) = (Contiguous::new(x), Contiguous::new(weight), Contiguous::new(bias));
        let shape = conv_shape(&x, &weight, resample);
        let y = cpu::conv2d::conv2d(x.values(), weight.values(), Some(bias.values()), &shape);
        tensor(y, &[shape.batch, shape.out_channels, shape.out_height(), shape.out_width()])
    }

    fn residua_group_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, norm: Norm) -> FlexTensor {
        let (x, gamma, beta) = (Contiguous::new(x), Contiguous::new(gamma), Contiguous::new(beta));
        let (batch, channels, spatial) = (x.dims[0], x.dims[1], x.dims[2] * x.dims[3]);
        let y = cpu::group_norm::group_norm(
            x.values(),
            gamma.values(),
            beta.values(),
            batch,
            channels,
            spatial,
            norm.groups,
            norm.epsilon,
            norm.silu,
        );
        tensor(y, &x.dims)
    }

    fn residua_layer_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, gamma, beta) = (Contiguous::new(x), Contiguous::new(gamma), Contiguous::new(beta));
        tensor(cpu::layer_norm::layer_norm(x.values(), gamma.values(), beta.values(), epsilon), &x.dims)
    }

    fn residua_linear(
        x: FlexTensor,
        weights: StoredWeights<Self>,
        bias: FlexTensor,
        activation: Activation,
        residual: Addend<Self>,
    ) -> FlexTensor {
        let residual = residual.values().map(Contiguous::new);
        let (x, bias) = (Contiguous::new(x), Contiguous::new(bias));
        let compute = |weights| {
            let residual = residual.as_ref().map(Contiguous::values);
            cpu::linear::linear(x.values(), x.dims[1], weights, Some(bias.values()), activation, residual)
        };
        let y = match weights {
            StoredWeights::Dense(weight) if weight.dtype() == DType::F16 => {
                compute(Weights::F16(weight.to_contiguous().as_slice().expect("a contiguous f16 tensor")))
            }
            StoredWeights::Dense(weight) => compute(Weights::F32(Contiguous::new(weight).values())),
            StoredWeights::Blocks { packed, scales } => {
                let packed = packed.to_contiguous();
                let words: &[i32] = packed.as_slice().expect("a contiguous i32 tensor");
                compute(Weights::Blocks(Blocks::new(cast_slice(words), Contiguous::new(scales).values())))
            }
        };
        tensor(y, &[x.dims[0], bias.dims[0]])
    }

    fn residua_attention(qkv: FlexTensor, heads: usize, reach: Reach) -> FlexTensor {
        let qkv = Contiguous::new(qkv);
        let [batch, length, width] = [0, 1, 2].map(|dim| qkv.dims[dim]);
        let mut passing = KvCache::new(batch, heads, width / 3 / heads, length);
        let y = cpu::attention::attention(qkv.values(), &mut passing, 0, reach);
        tensor(y, &[batch, length, width / 3])
    }

    fn residua_cached_attention(qkv: FlexTensor, cache: StoredCache<Self>, position: usize) -> FlexTensor {
        let StoredCache::Host(cache) = cache else { unreachable!("a cache is on the device of its tensors") };
        let qkv = Contiguous::new(qkv);
        let mut cache = cache.lock().expect("no kernel has panicked while holding the cache");
        let y = cpu::attention::attention(qkv.values(), &mut cache, position, Reach::Before);
        tensor(y, &[qkv.dims[0], qkv.dims[1], qkv.dims[2] / 3])
    }

    fn residua_sample_token(logits: FlexTensor, codes: FlexTensor, column: usize, draw: Draw) -> FlexTensor {
        let logits = Contiguous::new(logits);
        let [rows, columns] = [0, 1].map(|dim| codes.layout().shape()[dim]);
        let mut codes = integers(codes);
        let drawn = cpu::sample_token::sample_token(logits.values(), rows, &draw);
        codes.chunks_exact_mut(columns).zip(drawn).for_each(|(row, code)| row[column] = code);
        FlexTensor::from_data(TensorData::new(codes, [rows, columns]))
    }

    fn residua_softmax(x: FlexTensor, factor: f32) -> FlexTensor {
        let x = Contiguous::new(x);
        tensor(cpu::cross_entropy::softmax(x.values(), x.dims[1], factor), &x.dims)
    }

    fn residua_residual_quantize(
        latents: FlexTensor,
        table: StoredTable<Self>,
        norms: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (latents, norms) = (Contiguous::new(latents), Contiguous::new(norms));
        let StoredTable { rows: table, places, .. } = table;
        let table = Contiguous::new(table);
        let [rows, channels] = [latents.dims[0], latents.dims[1]];
        let codebook = |&Place { first, size }: &Place| Codes {
            embeddings: &table.values()[first * channels..][..size * channels],
            norms: &norms.values()[first..][..size],
        };
        let codebooks: Vec<Codes> = places.iter().map(codebook).collect();
        let found = cpu::residual_quantize::residual_quantize(latents.values(), channels, &codebooks);
        let depths = codebooks.len();
        (
            FlexTensor::from_data(TensorData::new(found.codes, [rows, depths])),
            tensor(found.partial_sums, &[depths, rows, channels]),
            tensor(found.squares, &[rows, depths]),
        )
    }

    fn residua_embed_codes(
        codes: FlexTensor,
        table: StoredTable<Self>,
        lookup: Lookup,
        onto: Addend<Self>,
    ) -> FlexTensor {
        let onto = onto.values().map(Contiguous::new);
        let onto = onto.as_ref().map(Contiguous::values);
        let [rows, columns] = [0, 1].map(|dim| codes.layout().shape()[dim]);
        let codes = integers(codes);
        let StoredTable { rows: table, places, .. } = table;
        let table = Contiguous::new(table);
        let (values, channels) = (table.values(), table.dims[1]);
        let y = cpu::embed_codes::embed_codes(&codes, columns, values, channels, &places, lookup, onto);
        tensor(y, &[rows, lookup.outputs(), channels])
    }
}
