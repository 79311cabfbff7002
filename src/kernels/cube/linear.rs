//! Launches `shaders/decode_linear.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::template::{KernelSource, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

#[cfg(test)]
use super::variants::Variant;
use super::{Activation, CubeBackend, THREADS, empty, launch, own, plain};
use crate::kernels::weights::{StoredWeights, Weights};

/// Rows that one pass over the weights serves.
const MOST_ROWS: usize = 8;

/// Threads that share an output. More of them leave each too little to do between a workgroup's start and its sums.
const LANES: usize = 16;
const TEAMS: usize = THREADS as usize / LANES;

/// Outputs from which on a GPU gets workgroups enough even of many outputs each.
const MANY_OUTPUTS: usize = 2048;

/// Whether the kernel takes `rows` of `inputs` and weights held by elements of type `weights` (i32 for four of eight
/// bits); others are for a matrix product.
pub fn fits(rows: usize, inputs: usize, weights: DType) -> bool {
    let words = weights != DType::F16 || inputs.is_multiple_of(2);
    (1..=MOST_ROWS).contains(&rows) && inputs > 0 && words
}

/// How a row of weights is read: the number of weights in a chunk, what the shader calls `Stored`, `Chunk`,
/// `widened(stored, at)` and `total(chunk)`, and its last bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reading {
    chunk: usize,
    stored: &'static str,
    widest: &'static str,
    widened: &'static str,
    total: &'static str,
    bindings: &'static str,
}

/// The line that declares the parameters.
const PARAMETERS: &str = "@group(0) @binding(4) var<uniform> parameters: Parameters;";
const SCALES_AND_PARAMETERS: &str = "@group(0) @binding(4) var<storage, read_write> scales: array<f32>;
@group(0) @binding(5) var<uniform> parameters: Parameters;";

const FOURS: Reading = Reading {
    chunk: 4,
    stored: "vec4<f32>",
    widest: "vec4<f32>",
    widened: "stored",
    total: "(chunk.x + chunk.y) + (chunk.z + chunk.w)",
    bindings: PARAMETERS,
};
const ONES: Reading = Reading { chunk: 1, stored: "f32", widest: "f32", total: "chunk", ..FOURS };
const HALF_FOURS: Reading = Reading {
    stored: "vec2<u32>",
    widened: "Chunk(unpack2x16float(stored.x), unpack2x16float(stored.y))",
    ..FOURS
};
const HALF_TWOS: Reading = Reading {
    chunk: 2,
    stored: "u32",
    widest: "vec2<f32>",
    widened: "unpack2x16float(stored)",
    total: "chunk.x + chunk.y",
    ..FOURS
};
/// Eight chunks are a block.
const BYTE_FOURS: Reading = Reading {
    stored: "u32",
    widened: "scales[at / 8u] * Chunk(vec4<i32>(vec4<u32>(stored) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))",
    bindings: SCALES_AND_PARAMETERS,
    ..FOURS
};

impl Reading {
    fn of(weights: DType, inputs: usize) -> Self {
        match (weights, inputs.is_multiple_of(4)) {
            (DType::F16, true) => HALF_FOURS,
            (DType::F16, false) => HALF_TWOS,
            (DType::I32, _) => BYTE_FOURS,
            (_, true) => FOURS,
            (_, false) => ONES,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DecodeLinear {
    reading: Reading,
    rows: usize,
    /// Outputs of a thread.
    outputs: usize,
}

impl DecodeLinear {
    fn new(weights: DType, inputs: usize, rows: usize, outputs: usize) -> Self {
        Self { reading: Reading::of(weights, inputs), rows, outputs: outputs_of_a_thread(rows, outputs) }
    }
}

/// Outputs whose sums a thread holds. More of them load the inputs less often, fewer of them make more workgroups,
/// which a layer with few outputs needs; and workgroup memory has room for 16 sums a thread.
fn outputs_of_a_thread(rows: usize, outputs: usize) -> usize {
    let room = 16 / rows.next_power_of_two();
    room.min(if outputs < MANY_OUTPUTS { 4 } else { 8 })
}

const DECODE_LINEAR: &str = include_str!("../../../shaders/decode_linear.wgsl");

impl KernelSource for DecodeLinear {
    fn source(&self) -> SourceTemplate {
        let Reading { stored, widest, widened, total, bindings, .. } = self.reading;
        let source = [
            ("const ROWS = 1u;", format!("const ROWS = {}u;", self.rows)),
            ("const OUTPUTS = 4u;", format!("const OUTPUTS = {}u;", self.outputs)),
            ("alias Stored = vec4<f32>;", format!("alias Stored = {stored};")),
            ("alias Chunk = vec4<f32>;", format!("alias Chunk = {widest};")),
            ("return stored;", format!("return {widened};")),
            ("return (chunk.x + chunk.y) + (chunk.z + chunk.w);", format!("return {total};")),
            (PARAMETERS, bindings.to_string()),
        ]
        .iter()
        .fold(DECODE_LINEAR.to_string(), |source, (general, special)| source.replace(general, special));
        SourceTemplate::new(source)
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(*self)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// The `Parameters` of `shaders/decode_linear.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct DecodeLinearParameters {
    outputs: u32,
    chunks: u32,
    activation: u32,
    onto: u32,
}

/// [`super::GpuKernels::residua_decode_linear`], with a residual or without.
pub fn decode_linear(
    x: CubeTensor,
    weights: StoredWeights<CubeBackend>,
    bias: CubeTensor,
    activation: Activation,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let (x, bias) = (plain(x), plain(bias));
    let (weight, scales) = in_order(weights);
    let [rows, inputs] = [0, 1].map(|dim| x.meta.shape()[dim]);
    let [outputs, columns] = [0, 1].map(|dim| weight.meta.shape()[dim]);
    let weights_of_an_output = if scales.is_some() { columns * Weights::PACKED } else { columns };
    assert!(fits(rows, inputs, weight.dtype), "{rows} rows of {inputs} inputs are for a matrix product");
    assert_eq!(weights_of_an_output, inputs, "the weights are [outputs, inputs]");
    assert_eq!(bias.meta.shape()[0], outputs, "the bias is [outputs]");
    let kernel = DecodeLinear::new(weight.dtype, inputs, rows, outputs);
    let parameters = DecodeLinearParameters {
        outputs: outputs as u32,
        chunks: (inputs / kernel.reading.chunk) as u32,
        activation: match activation {
            Activation::None => 0,
            Activation::Gelu => 1,
            Activation::QuickGelu => 2,
        },
        onto: residual.is_some() as u32,
    };
    let y = match residual {
        Some(residual) => {
            assert_eq!(residual.meta.shape()[..], [rows, outputs], "the residual is [rows, outputs]");
            own(plain(residual))
        }
        None => empty(&x, Shape::new([rows, outputs]), DType::F32),
    };
    let workgroups = outputs.div_ceil(TEAMS * kernel.outputs) as u32;
    let buffers: Vec<&CubeTensor> = [&x, &weight, &bias, &y].into_iter().chain(&scales).collect();
    launch(kernel, THREADS, workgroups, &buffers, &parameters);
    y
}

/// The buffer of the weights, and that of their scales where they have any.
fn in_order(weights: StoredWeights<CubeBackend>) -> (CubeTensor, Option<CubeTensor>) {
    match weights {
        StoredWeights::Dense(weight) => (into_contiguous(weight), None),
        StoredWeights::Blocks { packed, scales } => (into_contiguous(packed), Some(into_contiguous(scales))),
    }
}

/// A layer for each way to read weights: what holds them, and its inputs.
#[cfg(test)]
const LAYERS: [(DType, usize); 5] =
    [(DType::F32, 4), (DType::F32, 1), (DType::F16, 4), (DType::F16, 2), (DType::I32, 32)];

#[cfg(test)]
fn kernels() -> Vec<DecodeLinear> {
    let mut kernels = Vec::new();
    for rows in 1..=MOST_ROWS {
        for (weights, inputs) in LAYERS {
            kernels
                .extend([1, MANY_OUTPUTS].map(|outputs| DecodeLinear::new(weights, inputs, rows, outputs)));
        }
    }
    // With many rows the number of outputs makes no difference.
    kernels.dedup();
    kernels
}

/// All that the host makes of the shader.
#[cfg(test)]
pub(super) fn variants() -> Vec<Variant> {
    let variant = |kernel: DecodeLinear| {
        let DecodeLinear { reading, rows, outputs } = kernel;
        let Reading { chunk, stored, .. } = reading;
        let stored = stored.replace(['<', '>'], "");
        Variant::new(
            "decode_linear",
            format!("{chunk}-{stored}-{rows}x{outputs}"),
            THREADS,
            kernel.source().complete(),
        )
    };
    kernels().into_iter().map(variant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cube::checks::assert_same_parameters;

    #[test]
    fn the_shader_takes_every_reading() {
        for kernel in kernels() {
            let DecodeLinear { reading: Reading { stored, widened, .. }, rows, outputs } = kernel;
            let source = kernel.source().complete();
            assert!(
                source.contains(&format!("const ROWS = {rows}u;\nconst OUTPUTS = {outputs}u;\n")),
                "{source}"
            );
            assert!(source.contains(&format!("alias Stored = {stored};")), "{source}");
            assert!(source.contains(&format!("return {widened};")), "{source}");
            // A thread writes at most one result.
            assert!(outputs * rows * TEAMS <= THREADS as usize);
        }
        for (weights, inputs) in LAYERS {
            assert_eq!(inputs % Reading::of(weights, inputs).chunk, 0);
        }
        assert!(DECODE_LINEAR.contains(&format!("const LANES = {LANES}u;")));
    }

    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        assert_same_parameters!(
            DECODE_LINEAR,
            DecodeLinearParameters { outputs: Uint, chunks: Uint, activation: Uint, onto: Uint }
        );
    }
}
