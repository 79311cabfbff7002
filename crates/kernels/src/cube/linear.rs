//! Launches `shaders/decode_linear.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Shader, THREADS, changed, constant, empty, launch, own, plain, wgsl};
#[cfg(test)]
use super::texts::Text;
use super::{Activation, CubeBackend};
use crate::weights::{StoredWeights, Weights};
use crate::{GpuKernel, Variant};

/// Most rows that one pass over the weights can serve.
const MOST_ROWS: usize = 8;

/// Threads that share an output. With more, each has too little to do between the workgroup's start and its
/// final sums.
const LANES: usize = 16;
const TEAMS: usize = THREADS as usize / LANES;

/// Number of outputs from which there are enough workgroups even with many outputs per thread.
const MANY_OUTPUTS: usize = 2048;

/// Most outputs per thread in that case.
const MOST_OUTPUTS: usize = 8;

/// Inputs multiplied at once.
const CHUNK: usize = 4;

/// How the shader reads a row of weights: its `Stored` type, the body of `widened(stored, at)` and its last
/// bindings.
struct Reading {
    stored: &'static str,
    widened: &'static str,
    bindings: &'static str,
}

/// The line of the shader that declares the parameters.
const PARAMETERS: &str = "@group(0) @binding(4) var<uniform> parameters: Parameters;";
const SCALES_AND_PARAMETERS: &str = "@group(0) @binding(4) var<storage, read_write> scales: array<f32>;
@group(0) @binding(5) var<uniform> parameters: Parameters;";

/// For f32, f16 and 8-bit weights. Eight chunks of 8-bit weights form a block.
const READINGS: [Reading; 3] = [
    Reading { stored: "vec4<f32>", widened: "stored", bindings: PARAMETERS },
    Reading {
        stored: "vec2<u32>",
        widened: "Chunk(unpack2x16float(stored.x), unpack2x16float(stored.y))",
        bindings: PARAMETERS,
    },
    Reading {
        stored: "u32",
        widened: "scales[at / 8u] * Chunk(vec4<i32>(vec4<u32>(stored) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))",
        bindings: SCALES_AND_PARAMETERS,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DecodeLinear {
    /// Index into [`READINGS`].
    reading: usize,
    rows: usize,
    /// Outputs per thread.
    outputs: usize,
}

impl DecodeLinear {
    /// The kernel for `rows` of `inputs` and weights stored in elements of type `weights` (i32: four 8-bit
    /// weights). `None` if a matrix product should be used instead.
    fn of(rows: usize, inputs: usize, weights: DType, outputs: usize) -> Option<Self> {
        let fits = (1..=MOST_ROWS).contains(&rows) && inputs > 0 && inputs.is_multiple_of(CHUNK);
        let reading = match weights {
            DType::F16 => 1,
            DType::I32 => 2,
            _ => 0,
        };
        fits.then(|| Self { reading, rows, outputs: outputs_of_a_thread(rows, outputs) })
    }

    /// A number unique to this kernel.
    fn number(self) -> usize {
        let many = self.outputs == MOST_OUTPUTS;
        (self.reading * MOST_ROWS + self.rows - 1) * 2 + usize::from(many)
    }
}

/// The variant for a layer, or `None` if a matrix product should be used instead.
pub fn variant(rows: usize, inputs: usize, weights: DType, outputs: usize) -> Option<Variant> {
    let kernel = DecodeLinear::of(rows, inputs, weights, outputs)?;
    Some(GpuKernel::DecodeLinear.variant(kernel.number()))
}

/// Outputs whose sums a thread holds. More outputs per thread load the inputs less often; fewer give more
/// workgroups, which a layer with few outputs needs. Workgroup memory has room for 16 sums per thread.
fn outputs_of_a_thread(rows: usize, outputs: usize) -> usize {
    let room = 16 / rows.next_power_of_two();
    room.min(if outputs < MANY_OUTPUTS { 4 } else { MOST_OUTPUTS })
}

const DECODE_LINEAR: &str = wgsl!("decode_linear.wgsl");

impl Shader for DecodeLinear {
    const FILE: &'static str = "decode_linear.wgsl";

    fn source(&self) -> String {
        let Reading { stored, widened, bindings } = &READINGS[self.reading];
        let changes = [
            constant("ROWS", 1, self.rows),
            constant("OUTPUTS", 4, self.outputs),
            ("alias Stored = vec4<f32>;".into(), format!("alias Stored = {stored};")),
            ("return stored;".into(), format!("return {widened};")),
            (PARAMETERS.into(), bindings.to_string()),
        ];
        changed(DECODE_LINEAR, &changes)
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

/// [`crate::operations::Kernels::residua_linear`] for layers with a [`variant`].
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
    assert_eq!(weights_of_an_output, inputs, "the weights must be [outputs, inputs]");
    assert_eq!(bias.meta.shape()[0], outputs, "the bias must be [outputs]");
    let kernel = DecodeLinear::of(rows, inputs, weight.dtype, outputs);
    let kernel = kernel.unwrap_or_else(|| panic!("{rows} rows of {inputs} inputs need a matrix product"));
    let parameters = DecodeLinearParameters {
        outputs: outputs as u32,
        chunks: (inputs / CHUNK) as u32,
        activation: match activation {
            Activation::None => 0,
            Activation::Gelu => 1,
            Activation::QuickGelu => 2,
        },
        onto: residual.is_some() as u32,
    };
    let y = match residual {
        Some(residual) => {
            assert_eq!(residual.meta.shape()[..], [rows, outputs], "the residual must be [rows, outputs]");
            own(plain(residual))
        }
        None => empty(&x, Shape::new([rows, outputs]), DType::F32),
    };
    let workgroups = outputs.div_ceil(TEAMS * kernel.outputs) as u32;
    let mut buffers =
        vec![Bound::values(&x), Bound::weights(&weight), Bound::weights(&bias), Bound::values(&y)];
    buffers.extend(scales.as_ref().map(Bound::weights));
    launch(kernel, THREADS, workgroups, &buffers, &parameters);
    y
}

/// The contiguous buffer of the weights, and that of their scales if they have any.
fn in_order(weights: StoredWeights<CubeBackend>) -> (CubeTensor, Option<CubeTensor>) {
    match weights {
        StoredWeights::Dense(weight) => (into_contiguous(weight), None),
        StoredWeights::Blocks { packed, scales } => (into_contiguous(packed), Some(into_contiguous(scales))),
    }
}

/// Every kernel that the host builds from the shader.
#[cfg(test)]
fn kernels() -> Vec<DecodeLinear> {
    let mut kernels = Vec::new();
    for rows in 1..=MOST_ROWS {
        for weights in [DType::F32, DType::F16, DType::I32] {
            let of = |outputs| DecodeLinear::of(rows, CHUNK, weights, outputs);
            kernels.extend([1, MANY_OUTPUTS].into_iter().filter_map(of));
        }
    }
    // With many rows, the number of outputs makes no difference.
    kernels.dedup();
    kernels
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let text = |kernel: DecodeLinear| {
        let DecodeLinear { reading, rows, outputs } = kernel;
        let stored = READINGS[reading].stored.replace(['<', '>'], "");
        let kind = format!("{stored}-{rows}x{outputs}");
        Text::new("decode_linear", kind, THREADS, kernel.source())
    };
    kernels().into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn a_thread_writes_at_most_one_result() {
        for DecodeLinear { rows, outputs, .. } in kernels() {
            assert!(outputs * rows * TEAMS <= THREADS as usize);
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
