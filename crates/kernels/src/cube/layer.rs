//! What computes a linear layer on a GPU, and the operands that its kernels share.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Change, empty, own, plain};
use super::{Activation, CubeBackend, linear, tiled_linear};
use crate::weights::{StoredWeights, Weights};
use crate::{GpuKernel, Grain, Variant};

/// Inputs multiplied at once.
pub(super) const CHUNK: usize = 4;

/// The kernels of linear layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    /// `shaders/decode_linear.wgsl`.
    FewRows,
    /// `shaders/tiled_linear.wgsl`.
    Tiled,
}

/// The most rows that each kernel takes, by grain. The first kernel that takes so many rows computes the layer.
/// With more rows, the weights are widened for a matrix product, which a software rasterizer computes faster
/// from 9 rows on.
static MOST_ROWS: [&[(usize, Kernel)]; 2] =
    [&[(8, Kernel::FewRows)], &[(8, Kernel::FewRows), (256, Kernel::Tiled)]];

impl Kernel {
    fn of(rows: usize) -> Option<Self> {
        let mut kernels = MOST_ROWS[Grain::current() as usize].iter();
        kernels.find(|(most, _)| rows <= *most).map(|(_, kernel)| *kernel)
    }
}

/// The variant for a layer of `rows` of `inputs`, and weights stored in elements of type `weights` (i32: four 8-bit
/// weights); `None` if a matrix product should be used instead.
pub fn variant(rows: usize, inputs: usize, weights: DType, outputs: usize) -> Option<Variant> {
    match Kernel::of(rows)? {
        Kernel::FewRows => linear::variant(GpuKernel::DecodeLinear, rows, inputs, weights, outputs),
        Kernel::Tiled => tiled_linear::variant(rows, inputs, weights, outputs),
    }
}

/// [`crate::operations::Kernels::residua_linear`] for layers with a [`variant`].
pub fn layer(
    x: CubeTensor,
    weights: StoredWeights<CubeBackend>,
    bias: CubeTensor,
    activation: Activation,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let operands = Operands::new(x, weights, bias);
    match Kernel::of(operands.rows) {
        Some(Kernel::Tiled) => tiled_linear::tiled_linear(operands, activation, residual),
        _ => linear::decode_linear(operands, activation, residual),
    }
}

/// The operands of a layer: plain, contiguous and of matching sizes.
pub(super) struct Operands {
    /// `[rows, inputs]`.
    pub x: CubeTensor,
    pub weight: CubeTensor,
    bias: CubeTensor,
    scales: Option<CubeTensor>,
    pub rows: usize,
    pub inputs: usize,
    pub outputs: usize,
}

impl Operands {
    pub fn new(x: CubeTensor, weights: StoredWeights<CubeBackend>, bias: CubeTensor) -> Self {
        let (x, bias) = (plain(x), plain(bias));
        let (weight, scales) = in_order(weights);
        let [rows, inputs] = [0, 1].map(|dim| x.meta.shape()[dim]);
        let [outputs, columns] = [0, 1].map(|dim| weight.meta.shape()[dim]);
        let weights_of_an_output = if scales.is_some() { columns * Weights::PACKED } else { columns };
        assert_eq!(weights_of_an_output, inputs, "the weights must be [outputs, inputs]");
        assert_eq!(bias.meta.shape()[0], outputs, "the bias must be [outputs]");
        Self { x, weight, bias, scales, rows, inputs, outputs }
    }

    /// The tensor `[rows, outputs]` of the result. It holds the residual, if there is one, to which the result is added.
    pub fn result(&self, residual: Option<CubeTensor>) -> CubeTensor {
        let shape = [self.rows, self.outputs];
        match residual {
            Some(residual) => {
                assert_eq!(residual.meta.shape()[..], shape, "the residual must be [rows, outputs]");
                own(plain(residual))
            }
            None => empty(&self.x, Shape::new(shape), DType::F32),
        }
    }

    /// The buffers in the order of the shaders: inputs, weights, bias, result `y`, `others` and scales.
    pub fn buffers<'a>(&'a self, y: &'a CubeTensor, others: &[Bound<'a>]) -> Vec<Bound<'a>> {
        let mut buffers = vec![
            Bound::values(&self.x),
            Bound::weights(&self.weight),
            Bound::weights(&self.bias),
            Bound::values(y),
        ];
        buffers.extend(others);
        buffers.extend(self.scales.as_ref().map(Bound::weights));
        buffers
    }
}

/// The contiguous buffer of the weights, and that of their scales if they have any.
fn in_order(weights: StoredWeights<CubeBackend>) -> (CubeTensor, Option<CubeTensor>) {
    match weights {
        StoredWeights::Dense(weight) => (into_contiguous(weight), None),
        StoredWeights::Blocks { packed, scales } => (into_contiguous(packed), Some(into_contiguous(scales))),
    }
}

/// How shaders number an activation.
pub(super) fn number(activation: Activation) -> u32 {
    match activation {
        Activation::None => 0,
        Activation::Gelu => 1,
        Activation::QuickGelu => 2,
    }
}

/// How a shader reads a row of weights: its `Stored` type, the chunks in it, the body of
/// `widened(stored, piece, at)` and whether that needs scales.
pub(super) struct Reading {
    stored: &'static str,
    pub pieces: usize,
    widened: &'static str,
    scaled: bool,
}

/// Index into [`READINGS`] of weights stored in elements of type `weights`.
pub(super) fn kind(weights: DType) -> usize {
    match weights {
        DType::F16 => 1,
        DType::I32 => 2,
        _ => 0,
    }
}

/// The names of the kinds.
pub(super) const KINDS: [&str; 3] = ["f32", "f16", "q8"];

/// For f32, f16 and 8-bit weights: coarse, where a load reads one chunk, and fine, where it reads 16 bytes. Eight chunks
/// of 8-bit weights form a block.
pub(super) static READINGS: [[Reading; 2]; KINDS.len()] = [
    [SINGLE, SINGLE],
    [
        Reading {
            stored: "vec2<u32>",
            pieces: 1,
            widened: "Chunk(unpack2x16float(stored.x), unpack2x16float(stored.y))",
            scaled: false,
        },
        Reading {
            stored: "vec4<u32>",
            pieces: 2,
            widened: "Chunk(unpack2x16float(stored[2u * piece]), unpack2x16float(stored[2u * piece + 1u]))",
            scaled: false,
        },
    ],
    [
        Reading {
            stored: "u32",
            pieces: 1,
            widened: "scales[at / 8u] * Chunk(vec4<i32>(vec4<u32>(stored) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))",
            scaled: true,
        },
        Reading {
            stored: "vec4<u32>",
            pieces: 4,
            widened: "scales[at / 2u] * Chunk(vec4<i32>(vec4<u32>(stored[piece]) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))",
            scaled: true,
        },
    ],
];

const SINGLE: Reading = Reading { stored: "vec4<f32>", pieces: 1, widened: "stored", scaled: false };

impl Reading {
    /// The changes to a shader whose parameters are binding `last`.
    pub fn changes(&self, last: usize) -> Vec<Change> {
        let Self { stored, widened, scaled, .. } = self;
        let mut changes = vec![
            ("alias Stored = vec4<f32>;".into(), format!("alias Stored = {stored};")),
            ("return stored;".into(), format!("return {widened};")),
        ];
        if *scaled {
            let parameters = |at| format!("@group(0) @binding({at}) var<uniform> parameters: Parameters;");
            let scales = format!("@group(0) @binding({last}) var<storage, read_write> scales: array<f32>;");
            changes.push((parameters(last), format!("{scales}\n{}", parameters(last + 1))));
        }
        changes
    }
}
