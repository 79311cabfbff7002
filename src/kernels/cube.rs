//! The WGSL kernels of `shaders/` as operations of Burn's GPU backend.

mod attention;
mod layer_norm;
mod linear;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

use super::Activation;
use super::sample_token::Draw;
pub(super) use attention::fits as decode_attention_fits;
pub(super) use linear::fits as decode_linear_fits;

/// Operations with a hand-written GPU kernel.
#[backend_extension(Cube)]
pub trait GpuKernels: Backend {
    /// [`super::cpu::sample_token::sample_token`]: `[B, V]` to `[B]`.
    fn residua_sample_token(logits: FloatTensor<Self>, draw: Draw) -> IntTensor<Self>;

    /// [`super::cpu::linear::linear`] of what [`decode_linear_fits`]: `[rows, in]` by `[out, in]`, in f32 or f16.
    fn residua_decode_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// The same with a residual `[rows, out]`, into whose buffer it computes if nothing else refers to that.
    fn residua_decode_linear_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// An f16 tensor of two dimensions, contiguous, in f32.
    fn residua_widen(half: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`super::cpu::layer_norm::layer_norm`] over `[rows, C]`.
    fn residua_row_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::attention::attention`] of one position, where [`decode_attention_fits`]: `[B, 1, 3 C]` to
    /// `[B, 1, C]`. Keys and values `[B, heads, capacity, head_dim]` are written in place.
    fn residua_decode_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        position: usize,
    ) -> FloatTensor<Self>;
}

/// Threads of a workgroup in every shader.
const THREADS: u32 = 256;

/// Workgroups that WebGPU allows in one dimension.
const MAX_WORKGROUPS: u32 = 65_535;

struct SampleToken;

impl KernelSource for SampleToken {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(include_str!("../../shaders/sample_token.wgsl"))
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// The `Parameters` of `shaders/sample_token.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SampleTokenParameters {
    rows: u32,
    classes: u32,
    seed_low: u32,
    seed_high: u32,
    first_image: u32,
    place: u32,
    top_k: u32,
    temperature: f32,
    top_p: f32,
}

impl SampleTokenParameters {
    fn new(rows: usize, classes: usize, draw: &Draw) -> Self {
        let filter = &draw.filter;
        Self {
            rows: rows as u32,
            classes: classes as u32,
            seed_low: draw.seed as u32,
            seed_high: (draw.seed >> 32) as u32,
            first_image: draw.first_image,
            place: draw.place,
            top_k: if filter.top_k < classes { filter.top_k as u32 } else { 0 },
            temperature: normal(filter.temperature),
            top_p: if filter.top_p < 1.0 { normal(filter.top_p) } else { 0.0 },
        }
    }
}

/// `x`, 0 or more, with subnormal numbers raised: a shader may take them for 0, which means something else.
fn normal(x: f32) -> f32 {
    if x > 0.0 { x.max(f32::MIN_POSITIVE) } else { 0.0 }
}

/// Runs `kernel` on `buffers`, its first bindings, and `parameters`, the last; with `workgroups` or a few more.
fn launch(
    kernel: impl KernelSource,
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
        .with_info(MetadataBindingInfo::custom(words));
    let kernel = SourceKernel::new(kernel, CubeDim::new_1d(THREADS));
    buffers[0].client.launch(Box::new(kernel), count, arguments);
}

impl GpuKernels for CubeBackend {
    fn residua_sample_token(logits: CubeTensor, draw: Draw) -> CubeTensor {
        let logits = contiguous(logits);
        let [rows, classes] = [0, 1].map(|dim| logits.meta.shape()[dim]);
        let (client, device) = (logits.client.clone(), logits.device.clone());
        let codes = empty_device_dtype(client, device, Shape::new([rows]), DType::I32);
        let parameters = SampleTokenParameters::new(rows, classes, &draw);
        launch(SampleToken, rows as u32, &[&logits, &codes], &parameters);
        codes
    }

    fn residua_decode_linear(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        activation: Activation,
    ) -> CubeTensor {
        linear::decode_linear(x, weight, bias, activation, None)
    }

    fn residua_decode_linear_onto(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
    ) -> CubeTensor {
        linear::decode_linear(x, weight, bias, Activation::None, Some(residual))
    }

    fn residua_widen(half: CubeTensor) -> CubeTensor {
        linear::widen(half)
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
}

/// A contiguous f32 tensor of the same values.
fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(cast(tensor, DType::F32))
}

/// An f32 tensor of `shape` beside `tensor`, its values not yet written.
fn empty_beside<const D: usize>(tensor: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_device_dtype(tensor.client.clone(), tensor.device.clone(), Shape::new(shape), DType::F32)
}

#[cfg(test)]
mod tests {
    use wgpu::naga::{self, Module, ScalarKind, TypeInner, valid};

    use super::*;

    fn parse(source: &str) -> Module {
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)))
    }

    /// A shader is valid with what WebGPU has everywhere, and has the entry point that the launch names.
    pub(super) fn assert_valid(source: &str) {
        let module = parse(source);
        // `unpack2x16float`, which is no optional feature.
        let capabilities = valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let mut validator = valid::Validator::new(valid::ValidationFlags::all(), capabilities);
        validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
        let [entry] = &module.entry_points[..] else { panic!("one entry point") };
        assert_eq!((entry.name.as_str(), entry.workgroup_size), ("main", [THREADS, 1, 1]));
    }

    #[test]
    fn every_shader_is_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_valid(&std::fs::read_to_string(&path).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }

    /// Names, offsets and kinds of the parameters in `source` are those of `host`, which takes `size` bytes.
    pub(super) fn assert_parameters(source: &str, host: &[(&str, usize, ScalarKind)], size: usize) {
        let module = parse(source);
        let (_, variable) =
            module.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some("parameters")).unwrap();
        let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
            panic!("a struct")
        };
        let shader: Vec<_> = members
            .iter()
            .map(|member| {
                let kind = module.types[member.ty].inner.scalar_kind().unwrap();
                (member.name.as_deref().unwrap(), member.offset as usize, kind)
            })
            .collect();
        assert_eq!(shader, host);
        assert_eq!(*span as usize, size);
    }

    /// Name, offset and kind of each field of a host's parameters.
    macro_rules! fields {
        ($host:ident, $($name:ident: $kind:ident),*) => {
            [$((stringify!($name), std::mem::offset_of!($host, $name), wgpu::naga::ScalarKind::$kind)),*]
        };
    }
    pub(super) use fields;

    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        let host = fields!(
            SampleTokenParameters,
            rows: Uint, classes: Uint, seed_low: Uint, seed_high: Uint, first_image: Uint, place: Uint,
            top_k: Uint, temperature: Float, top_p: Float
        );
        let source = include_str!("../../shaders/sample_token.wgsl");
        assert_parameters(source, &host, size_of::<SampleTokenParameters>());
    }
}
