//! The WGSL kernels of `shaders/` as operations of Burn's GPU backend.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

use super::sample_token::Draw;

/// Operations with a hand-written GPU kernel.
#[backend_extension(Cube)]
pub trait GpuKernels: Backend {
    /// [`super::cpu::sample_token::sample_token`]: `[B, V]` to `[B]`.
    fn residua_sample_token(logits: FloatTensor<Self>, draw: Draw) -> IntTensor<Self>;
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
    buffers: [&CubeTensor; 2],
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
        let logits = into_contiguous(cast(logits, DType::F32));
        let [rows, classes] = [0, 1].map(|dim| logits.meta.shape()[dim]);
        let (client, device) = (logits.client.clone(), logits.device.clone());
        let codes = empty_device_dtype(client, device, Shape::new([rows]), DType::I32);
        let parameters = SampleTokenParameters::new(rows, classes, &draw);
        launch(SampleToken, rows as u32, [&logits, &codes], &parameters);
        codes
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use wgpu::naga::{self, Module, ScalarKind, TypeInner, valid};

    use super::*;

    fn parse(source: &str) -> Module {
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)))
    }

    /// Every shader is valid without any optional feature, and has the entry point that the launch names.
    #[test]
    fn every_shader_is_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let module = parse(&std::fs::read_to_string(&path).unwrap());
            let mut validator =
                valid::Validator::new(valid::ValidationFlags::all(), valid::Capabilities::empty());
            validator.validate(&module).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
            let [entry] = &module.entry_points[..] else { panic!("{}: one entry point", path.display()) };
            assert_eq!((entry.name.as_str(), entry.workgroup_size), ("main", [THREADS, 1, 1]));
            count += 1;
        }
        assert!(count > 0);
    }

    /// Names, offsets and kinds of the shader's parameters are those of the host's.
    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        macro_rules! fields {
            ($($name:ident: $kind:ident),*) => {
                [$((stringify!($name), offset_of!(SampleTokenParameters, $name) as u32, ScalarKind::$kind)),*]
            };
        }
        let host = fields!(
            rows: Uint, classes: Uint, seed_low: Uint, seed_high: Uint, first_image: Uint, place: Uint,
            top_k: Uint, temperature: Float, top_p: Float
        );
        let module = parse(include_str!("../../shaders/sample_token.wgsl"));
        let (_, variable) =
            module.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some("parameters")).unwrap();
        let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
            panic!("a struct")
        };
        let shader: Vec<_> = members
            .iter()
            .map(|member| {
                let kind = module.types[member.ty].inner.scalar_kind().unwrap();
                (member.name.as_deref().unwrap(), member.offset, kind)
            })
            .collect();
        assert_eq!(shader, host);
        assert_eq!(*span as usize, size_of::<SampleTokenParameters>());
    }
}
