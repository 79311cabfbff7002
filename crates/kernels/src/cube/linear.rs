//! Launches `shaders/decode_linear.wgsl`, and prepares the layers of `shaders/normed_linear.wgsl` too.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Shader, THREADS, changed, constant, empty, launch, own, plain};
#[cfg(test)]
use super::texts::Text;
use super::{Activation, CubeBackend};
#[cfg(test)]
use crate::cpu::linear::Block;
use crate::weights::{StoredWeights, Weights};
use crate::{GpuKernel, Grain, Variant};
use residua_shaders::DECODE_LINEAR;

/// Most rows that one pass over the weights can serve.
const MOST_ROWS: usize = 8;

/// Number of outputs from which there are enough workgroups even with many outputs per thread.
const MANY_OUTPUTS: usize = 2048;

/// How the threads of a workgroup share a layer.
struct Share {
    /// Threads that share an output.
    lanes: usize,
    /// Threads that read a segment of a row together.
    run: usize,
    /// Most outputs per thread of a layer with fewer than [`MANY_OUTPUTS`], and of others.
    outputs: [usize; 2],
}

/// With 16 lanes, a software rasterizer has enough to do between the workgroup's start and its final sums. With 64 lanes
/// and few outputs, a layer of 1024 outputs has 128 workgroups instead of 16.
static SHARES: [Share; 2] =
    [Share { lanes: 16, run: 8, outputs: [4, 8] }, Share { lanes: 64, run: 64, outputs: [2, 4] }];

/// Inputs multiplied at once.
const CHUNK: usize = 4;

/// How the shader reads a row of weights: its `Stored` type, the chunks in it, the body of
/// `widened(stored, piece, at)` and whether that needs scales.
struct Reading {
    stored: &'static str,
    pieces: usize,
    widened: &'static str,
    scaled: bool,
}

/// For f32, f16 and 8-bit weights: coarse, where a load reads one chunk, and fine, where it reads 16 bytes. Eight chunks
/// of 8-bit weights form a block.
static READINGS: [[Reading; 2]; 3] = [
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

/// A kernel for few rows, of `shaders/decode_linear.wgsl` or `shaders/normed_linear.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FewRows {
    /// Index into [`READINGS`].
    kind: usize,
    grain: Grain,
    rows: usize,
    /// Outputs per thread.
    outputs: usize,
}

impl FewRows {
    /// The kernel for `rows` of `inputs` and weights stored in elements of type `weights` (i32: four 8-bit
    /// weights). `None` if a matrix product should be used instead.
    fn of(rows: usize, inputs: usize, weights: DType, outputs: usize, grain: Grain) -> Option<Self> {
        let kind = match weights {
            DType::F16 => 1,
            DType::I32 => 2,
            _ => 0,
        };
        let step = CHUNK * READINGS[kind][grain as usize].pieces;
        let fits = (1..=MOST_ROWS).contains(&rows) && inputs > 0 && inputs.is_multiple_of(step);
        fits.then(|| Self { kind, grain, rows, outputs: outputs_of_a_thread(rows, outputs, grain) })
    }

    fn reading(self) -> &'static Reading {
        &READINGS[self.kind][self.grain as usize]
    }

    fn share(self) -> &'static Share {
        &SHARES[self.grain as usize]
    }

    /// Outputs of a workgroup.
    fn outputs_of_a_workgroup(self) -> usize {
        THREADS as usize / self.share().lanes * self.outputs
    }

    /// A number unique to this kernel among those of its shader and grain. An adapter runs those of one grain.
    fn number(self) -> usize {
        let many = self.outputs == self.share().outputs[1];
        (self.kind * MOST_ROWS + self.rows - 1) * 2 + usize::from(many)
    }

    /// `source`, whose parameters are binding `last`, as it suits the layer.
    pub fn suited(self, source: &str, last: usize) -> String {
        let (Reading { stored, pieces, widened, scaled }, Share { lanes, run, .. }) =
            (self.reading(), self.share());
        let mut changes = vec![
            constant("ROWS", 1, self.rows),
            constant("OUTPUTS", 4, self.outputs),
            constant("LANES", 16, *lanes),
            constant("RUN", 8, *run),
            constant("PIECES", 1, *pieces),
            ("alias Stored = vec4<f32>;".into(), format!("alias Stored = {stored};")),
            ("return stored;".into(), format!("return {widened};")),
        ];
        if *scaled {
            let parameters = |at| format!("@group(0) @binding({at}) var<uniform> parameters: Parameters;");
            let scales = format!("@group(0) @binding({last}) var<storage, read_write> scales: array<f32>;");
            changes.push((parameters(last), format!("{scales}\n{}", parameters(last + 1))));
        }
        changed(source, &changes)
    }

    /// Every kernel that the host builds from a shader.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        let mut kernels = Vec::new();
        for rows in 1..=MOST_ROWS {
            for weights in [DType::F32, DType::F16, DType::I32] {
                for grain in Grain::ALL {
                    let of = |outputs| Self::of(rows, Block::SIZE, weights, outputs, grain);
                    kernels.extend([1, MANY_OUTPUTS].into_iter().filter_map(of));
                }
            }
        }
        // With many rows, the number of outputs makes no difference.
        kernels.dedup();
        kernels
    }

    /// The source of [`Self::suited`] as that of the shader `name`.
    #[cfg(test)]
    pub fn text(self, name: &'static str, source: String) -> Text {
        let (weights, lanes) = (["f32", "f16", "q8"][self.kind], self.share().lanes);
        let kind = format!("{weights}-{}x{}x{lanes}", self.rows, self.outputs);
        Text::new(name, kind, THREADS, source)
    }
}

/// The variant of `kernel` for a layer, [`GpuKernel::DecodeLinear`] or [`GpuKernel::NormedLinear`]; `None` if a matrix
/// product should be used instead.
pub fn variant(
    kernel: GpuKernel,
    rows: usize,
    inputs: usize,
    weights: DType,
    outputs: usize,
) -> Option<Variant> {
    let number = FewRows::of(rows, inputs, weights, outputs, Grain::current())?.number();
    Some(kernel.variant(number))
}

/// Outputs whose sums a thread holds. More outputs per thread load the inputs less often; fewer give more
/// workgroups, which a layer with few outputs needs. Workgroup memory has room for 16 sums per thread.
fn outputs_of_a_thread(rows: usize, outputs: usize, grain: Grain) -> usize {
    let room = 16 / rows.next_power_of_two();
    room.min(SHARES[grain as usize].outputs[usize::from(outputs >= MANY_OUTPUTS)])
}

/// The `Parameters` of `shaders/shared/few_rows.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Parameters {
    pub outputs: u32,
    pub loads: u32,
    pub activation: u32,
    pub onto: u32,
    pub epsilon: f32,
}

/// A layer and its inputs, ready to launch.
pub(super) struct Layer {
    pub kernel: FewRows,
    /// `[rows, inputs]`.
    pub x: CubeTensor,
    pub weight: CubeTensor,
    pub bias: CubeTensor,
    pub scales: Option<CubeTensor>,
    pub parameters: Parameters,
}

impl Layer {
    /// A layer with a [`variant`].
    pub fn new(
        x: CubeTensor,
        weights: StoredWeights<CubeBackend>,
        bias: CubeTensor,
        activation: Activation,
    ) -> Self {
        let (x, bias) = (plain(x), plain(bias));
        let (weight, scales) = in_order(weights);
        let [rows, inputs] = [0, 1].map(|dim| x.meta.shape()[dim]);
        let [outputs, columns] = [0, 1].map(|dim| weight.meta.shape()[dim]);
        let weights_of_an_output = if scales.is_some() { columns * Weights::PACKED } else { columns };
        assert_eq!(weights_of_an_output, inputs, "the weights must be [outputs, inputs]");
        assert_eq!(bias.meta.shape()[0], outputs, "the bias must be [outputs]");
        let kernel = FewRows::of(rows, inputs, weight.dtype, outputs, Grain::current());
        let kernel = kernel.unwrap_or_else(|| panic!("{rows} rows of {inputs} inputs need a matrix product"));
        let parameters = Parameters {
            outputs: outputs as u32,
            loads: (inputs / CHUNK / kernel.reading().pieces) as u32,
            activation: match activation {
                Activation::None => 0,
                Activation::Gelu => 1,
                Activation::QuickGelu => 2,
            },
            onto: 0,
            epsilon: 0.0,
        };
        Self { kernel, x, weight, bias, scales, parameters }
    }

    /// The shape of its result.
    pub fn shape(&self) -> [usize; 2] {
        [self.kernel.rows, self.parameters.outputs as usize]
    }

    /// Launches `shader` with its buffers in order: inputs, weights, bias, result `y`, `others` and scales.
    pub fn launch(&self, shader: impl Shader, y: &CubeTensor, others: &[Bound<'_>]) {
        let mut buffers = vec![
            Bound::values(&self.x),
            Bound::weights(&self.weight),
            Bound::weights(&self.bias),
            Bound::values(y),
        ];
        buffers.extend(others);
        buffers.extend(self.scales.as_ref().map(Bound::weights));
        let workgroups = self.shape()[1].div_ceil(self.kernel.outputs_of_a_workgroup()) as u32;
        launch(shader, THREADS, workgroups, &buffers, &self.parameters);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DecodeLinear(FewRows);

impl Shader for DecodeLinear {
    const FILE: &'static str = DECODE_LINEAR.file;

    fn source(&self) -> String {
        self.0.suited(DECODE_LINEAR.source, 4)
    }
}

/// [`crate::operations::Kernels::residua_linear`] for layers with a [`variant`].
pub fn decode_linear(
    x: CubeTensor,
    weights: StoredWeights<CubeBackend>,
    bias: CubeTensor,
    activation: Activation,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let mut layer = Layer::new(x, weights, bias, activation);
    layer.parameters.onto = residual.is_some() as u32;
    let y = match residual {
        Some(residual) => {
            assert_eq!(residual.meta.shape()[..], layer.shape(), "the residual must be [rows, outputs]");
            own(plain(residual))
        }
        None => empty(&layer.x, Shape::new(layer.shape()), DType::F32),
    };
    layer.launch(DecodeLinear(layer.kernel), &y, &[]);
    y
}

/// The contiguous buffer of the weights, and that of their scales if they have any.
fn in_order(weights: StoredWeights<CubeBackend>) -> (CubeTensor, Option<CubeTensor>) {
    match weights {
        StoredWeights::Dense(weight) => (into_contiguous(weight), None),
        StoredWeights::Blocks { packed, scales } => (into_contiguous(packed), Some(into_contiguous(scales))),
    }
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let text = |kernel: FewRows| kernel.text("decode_linear", DecodeLinear(kernel).source());
    FewRows::all().into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn a_thread_writes_at_most_one_result() {
        for kernel in FewRows::all() {
            assert!(kernel.rows * kernel.outputs_of_a_workgroup() <= THREADS as usize);
        }
    }

    /// Two workgroups for each of the 46 units of a GeForce RTX 4070.
    #[test]
    fn a_gpu_gets_workgroups_for_all_its_units() {
        for (rows, outputs) in [(1, 1024), (1, 2048), (1, 3072), (1, 4096), (2, 1024), (8, 1024)] {
            let kernel = FewRows::of(rows, 1024, DType::F16, outputs, Grain::Fine).unwrap();
            let workgroups = outputs.div_ceil(kernel.outputs_of_a_workgroup());
            assert!(workgroups >= 92, "{rows} rows to {outputs}: {workgroups} workgroups");
        }
    }

    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        assert_same_parameters!(
            DECODE_LINEAR.source,
            Parameters { outputs: Uint, loads: Uint, activation: Uint, onto: Uint, epsilon: Float }
        );
    }
}
