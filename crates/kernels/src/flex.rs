//! The CPU kernels as operations of Burn's CPU backend.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, TensorData};
use burn_flex::{Flex, FlexTensor};
use bytemuck::cast_slice;

use super::attention::{HostCache, Reach};
use super::cpu;
use super::cpu::conv2d::{ConvShape, Resample};
use super::cpu::linear::{Activation, Blocks, Weights};
use super::cpu::residual_quantize::Codes;
use super::embed::{Lookup, Place};
use super::sample_token::Draw;
use super::weights::StoredWeights;

/// Operations with a hand-written CPU kernel. Shapes are as in the functions of [`cpu`].
#[backend_extension(Flex)]
pub trait CpuKernels: Backend {
    /// [`cpu::conv2d::conv2d`]: NCHW by `[out, in, k, k]`.
    fn residua_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// [`cpu::group_norm::group_norm`] over NCHW.
    fn residua_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FloatTensor<Self>;

    /// [`cpu::layer_norm::layer_norm`] over the last dimension.
    fn residua_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// [`cpu::linear::linear`]: `[rows, in]` by `[out, in]`.
    fn residua_linear(
        x: FloatTensor<Self>,
        #[extension_type] weights: StoredWeights<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// [`cpu::linear::linear`] with a residual.
    fn residua_linear_onto(
        x: FloatTensor<Self>,
        #[extension_type] weights: StoredWeights<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Burn's own product: `[.., M, K]` by `[.., K, N]`.
    fn residua_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`cpu::attention::attention`]: `[B, T, 3 C]` to `[B, T, C]`. The first of the `T` positions is
    /// `position` in the cache.
    fn residua_attention(
        qkv: FloatTensor<Self>,
        cache: HostCache,
        position: usize,
        reach: Reach,
    ) -> FloatTensor<Self>;

    /// [`cpu::sample_token::sample_token`]: `[B, V]` to `[B]`.
    fn residua_sample_token(logits: FloatTensor<Self>, draw: Draw) -> IntTensor<Self>;

    /// [`cpu::cross_entropy::softmax`]: `[rows, K]` to the same shape.
    fn residua_softmax(x: FloatTensor<Self>, factor: f32) -> FloatTensor<Self>;

    /// [`cpu::residual_quantize::residual_quantize`]: maps `[N, C]` to codes `[N, D]`, partial sums
    /// `[D, N, C]` and squared residual norms `[N, D]`. The codebooks are at `places` in a table `[rows, C]`,
    /// and `norms` `[1, rows]` are the squared norms of its rows.
    fn residua_residual_quantize(
        latents: FloatTensor<Self>,
        table: FloatTensor<Self>,
        norms: FloatTensor<Self>,
        places: Vec<Place>,
    ) -> (IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// [`cpu::embed_codes::embed_codes`]: looks up codes `[N, columns]` in a table `[rows, C]`; the result is
    /// `[N, outputs, C]`.
    fn residua_embed_codes(
        codes: IntTensor<Self>,
        table: FloatTensor<Self>,
        places: Vec<Place>,
        lookup: Lookup,
    ) -> FloatTensor<Self>;

    /// The same added to rows `[n, C]`, used cyclically.
    fn residua_embed_codes_onto(
        codes: IntTensor<Self>,
        table: FloatTensor<Self>,
        places: Vec<Place>,
        lookup: Lookup,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

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

impl CpuKernels for Flex {
    fn residua_conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, resample: Resample) -> FlexTensor {
        let (x, weight, bias) = (Contiguous::new(x), Contiguous::new(weight), Contiguous::new(bias));
        let shape = conv_shape(&x, &weight, resample);
        let y = cpu::conv2d::conv2d(x.values(), weight.values(), Some(bias.values()), &shape);
        tensor(y, &[shape.batch, shape.out_channels, shape.out_height(), shape.out_width()])
    }

    fn residua_group_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FlexTensor {
        let (x, gamma, beta) = (Contiguous::new(x), Contiguous::new(gamma), Contiguous::new(beta));
        let (batch, channels, spatial) = (x.dims[0], x.dims[1], x.dims[2] * x.dims[3]);
        let y = cpu::group_norm::group_norm(
            x.values(),
            gamma.values(),
            beta.values(),
            batch,
            channels,
            spatial,
            groups,
            epsilon,
            silu,
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
    ) -> FlexTensor {
        linear(x, weights, bias, activation, None)
    }

    fn residua_linear_onto(
        x: FlexTensor,
        weights: StoredWeights<Self>,
        bias: FlexTensor,
        residual: FlexTensor,
    ) -> FlexTensor {
        linear(x, weights, bias, Activation::None, Some(residual))
    }

    fn residua_matmul(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        Self::float_matmul(a, b)
    }

    fn residua_attention(qkv: FlexTensor, cache: HostCache, position: usize, reach: Reach) -> FlexTensor {
        let qkv = Contiguous::new(qkv);
        let mut cache = cache.lock().expect("no kernel has panicked while holding the cache");
        let y = cpu::attention::attention(qkv.values(), &mut cache, position, reach);
        tensor(y, &[qkv.dims[0], qkv.dims[1], qkv.dims[2] / 3])
    }

    fn residua_sample_token(logits: FlexTensor, draw: Draw) -> FlexTensor {
        let logits = Contiguous::new(logits);
        let codes = cpu::sample_token::sample_token(logits.values(), logits.dims[0], &draw);
        FlexTensor::from_data(TensorData::new(codes, [logits.dims[0]]))
    }

    fn residua_softmax(x: FlexTensor, factor: f32) -> FlexTensor {
        let x = Contiguous::new(x);
        tensor(cpu::cross_entropy::softmax(x.values(), x.dims[1], factor), &x.dims)
    }

    fn residua_residual_quantize(
        latents: FlexTensor,
        table: FlexTensor,
        norms: FlexTensor,
        places: Vec<Place>,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (latents, table, norms) =
            (Contiguous::new(latents), Contiguous::new(table), Contiguous::new(norms));
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
        table: FlexTensor,
        places: Vec<Place>,
        lookup: Lookup,
    ) -> FlexTensor {
        embed_codes(codes, table, &places, lookup, None)
    }

    fn residua_embed_codes_onto(
        codes: FlexTensor,
        table: FlexTensor,
        places: Vec<Place>,
        lookup: Lookup,
        onto: FlexTensor,
    ) -> FlexTensor {
        embed_codes(codes, table, &places, lookup, Some(onto))
    }
}

fn embed_codes(
    codes: FlexTensor,
    table: FlexTensor,
    places: &[Place],
    lookup: Lookup,
    onto: Option<FlexTensor>,
) -> FlexTensor {
    let (table, onto) = (Contiguous::new(table), onto.map(Contiguous::new));
    let [rows, columns] = [0, 1].map(|dim| codes.layout().shape()[dim]);
    let codes: Vec<i32> =
        codes.into_data().convert::<i32>().try_to_vec().expect("converted to i32 just above");
    let (values, channels) = (table.values(), table.dims[1]);
    let onto = onto.as_ref().map(Contiguous::values);
    let y = cpu::embed_codes::embed_codes(&codes, columns, values, channels, places, lookup, onto);
    tensor(y, &[rows, lookup.outputs(), channels])
}

fn linear(
    x: FlexTensor,
    weights: StoredWeights<Flex>,
    bias: FlexTensor,
    activation: Activation,
    residual: Option<FlexTensor>,
) -> FlexTensor {
    let (x, bias, residual) = (Contiguous::new(x), Contiguous::new(bias), residual.map(Contiguous::new));
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
