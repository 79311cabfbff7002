//! Launches `shaders/decode_linear.wgsl`, and prepares the layers of `shaders/normed_linear.wgsl` too.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

use super::Activation;
use super::launch::{Bound, Shader, THREADS, changed, constant, launch};
use super::layer::{CHUNK, KINDS, Operands, READINGS, Reading, kind, number};
#[cfg(test)]
use super::texts::Text;
#[cfg(test)]
use crate::cpu::linear::Block;
use crate::tuned::{Layer, choice};
use crate::{GpuKernel, Grain, Variant};
use residua_shaders::DECODE_LINEAR;

/// Most rows that one pass over the weights can serve.
const MOST_ROWS: usize = 8;

/// Number of outputs from which there are enough workgroups even with many outputs per thread.
const MANY_OUTPUTS: usize = 2048;

/// How the threads of a workgroup share a layer.
struct ThreadSplit {
    /// Threads that share an output.
    lanes: usize,
    /// Threads that read a segment of a row together.
    run: usize,
    /// Most outputs per thread: by default of a layer with fewer than [`MANY_OUTPUTS`], and of others.
    outputs: [usize; 2],
    /// The same in words.
    names: [&'static str; 2],
}

/// With 16 lanes, a software rasterizer has enough to do between the workgroup's start and its final sums. With 64 lanes
/// and few outputs, a layer of 1024 outputs has 128 workgroups instead of 16.
static SPLITS: [ThreadSplit; 2] = [
    ThreadSplit { lanes: 16, run: 8, outputs: [4, 8], names: ["4 outputs a thread", "8 outputs a thread"] },
    ThreadSplit { lanes: 64, run: 64, outputs: [2, 4], names: ["2 outputs a thread", "4 outputs a thread"] },
];

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
    /// weights). `None` if it does not take them.
    fn of(rows: usize, inputs: usize, weights: DType, outputs: usize, grain: Grain) -> Option<Self> {
        let kind = kind(weights);
        let step = CHUNK * READINGS[kind][grain as usize].pieces;
        let fits = (1..=MOST_ROWS).contains(&rows) && inputs > 0 && inputs.is_multiple_of(step);
        let layer = Layer::Linear { rows, inputs, outputs, kind };
        fits.then(|| Self { kind, grain, rows, outputs: outputs_of_a_thread(rows, outputs, grain, layer) })
    }

    fn reading(self) -> &'static Reading {
        &READINGS[self.kind][self.grain as usize]
    }

    fn split(self) -> &'static ThreadSplit {
        &SPLITS[self.grain as usize]
    }

    /// Outputs of a workgroup.
    fn outputs_of_a_workgroup(self) -> usize {
        THREADS as usize / self.split().lanes * self.outputs
    }

    /// A number unique to this kernel among those of its shader and grain. An adapter runs those of one grain.
    fn number(self) -> usize {
        let many = self.outputs == self.split().outputs[1];
        (self.kind * MOST_ROWS + self.rows - 1) * 2 + usize::from(many)
    }

    /// `source`, whose parameters are binding `last`, as it suits the layer.
    pub fn suited(self, source: &str, last: usize) -> String {
        let (reading, ThreadSplit { lanes, run, .. }) = (self.reading(), self.split());
        let mut changes = reading.changes(last);
        changes.extend([
            constant("ROWS", 1, self.rows),
            constant("OUTPUTS", 4, self.outputs),
            constant("LANES", 16, *lanes),
            constant("RUN", 8, *run),
            constant("PIECES", 1, reading.pieces),
        ]);
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
        let (weights, lanes) = (KINDS[self.kind], self.split().lanes);
        let kind = format!("{weights}-{}x{}x{lanes}", self.rows, self.outputs);
        Text::new(name, kind, THREADS, source)
    }
}

/// Numbers of [`FewRows`].
pub(super) const VARIANTS: usize = KINDS.len() * MOST_ROWS * 2;

/// The variant of `kernel` for a layer, [`GpuKernel::DecodeLinear`] or [`GpuKernel::NormedLinear`], if it takes so many
/// rows and inputs.
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
fn outputs_of_a_thread(rows: usize, outputs: usize, grain: Grain, layer: Layer) -> usize {
    let (room, split) = (16 / rows.next_power_of_two(), &SPLITS[grain as usize]);
    let [few, many] = split.outputs.map(|outputs| room.min(outputs));
    let choices = if few == many { 1 } else { 2 };
    let default = usize::from(outputs >= MANY_OUTPUTS).min(choices - 1);
    [few, many][choice(grain, layer, &split.names[..choices], default)]
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

/// A layer and its operands, ready to launch.
pub(super) struct Prepared {
    pub kernel: FewRows,
    pub operands: Operands,
    pub parameters: Parameters,
}

impl Prepared {
    /// A layer with a [`variant`].
    pub fn new(operands: Operands, activation: Activation) -> Self {
        let Operands { rows, inputs, outputs, .. } = operands;
        let kernel = FewRows::of(rows, inputs, operands.weight.dtype, outputs, Grain::current());
        let kernel = kernel.unwrap_or_else(|| panic!("{rows} rows of {inputs} inputs need another kernel"));
        let parameters = Parameters {
            outputs: outputs as u32,
            loads: (inputs / CHUNK / kernel.reading().pieces) as u32,
            activation: number(activation),
            onto: 0,
            epsilon: 0.0,
        };
        Self { kernel, operands, parameters }
    }

    /// Launches `shader`, which binds `others` after the result `y`.
    pub fn launch(&self, shader: impl Shader, y: &CubeTensor, others: &[Bound<'_>]) {
        let workgroups = self.operands.outputs.div_ceil(self.kernel.outputs_of_a_workgroup()) as u32;
        launch(shader, THREADS, workgroups, &self.operands.buffers(y, others), &self.parameters);
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

/// A layer with a [`variant`].
pub(super) fn decode_linear(
    operands: Operands,
    activation: Activation,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let mut layer = Prepared::new(operands, activation);
    layer.parameters.onto = residual.is_some() as u32;
    let y = layer.operands.result(residual);
    layer.launch(DecodeLinear(layer.kernel), &y, &[]);
    y
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
