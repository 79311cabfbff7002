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

use super::Resample;
use super::sample_token::Draw;

#[cfg(test)]
mod checks;
mod conv2d;
mod group_norm;

/// Operations with a hand-written GPU kernel.
#[backend_extension(Cube)]
pub trait GpuKernels: Backend {
    /// [`super::cpu::sample_token::sample_token`]: `[B, V]` to `[B]`.
    fn residua_sample_token(logits: FloatTensor<Self>, draw: Draw) -> IntTensor<Self>;

    /// [`super::cpu::conv2d::conv2d`]: NCHW by `[out, in, k, k]`.
    fn residua_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        resample: Resample,
    ) -> FloatTensor<Self>;

    /// [`super::cpu::group_norm::group_norm`] over NCHW.
    fn residua_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FloatTensor<Self>;
}

/// Threads of a workgroup, where a shader does not say otherwise.
const THREADS: u32 = 256;

/// Workgroups that WebGPU allows in one dimension.
const MAX_WORKGROUPS: u32 = 65_535;

struct SampleToken;

impl KernelSource for SampleToken {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(include_str!("../../../shaders/sample_token.wgsl"))
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

/// `tensor` in f32, its elements in the order of its dimensions.
fn plain(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(cast(tensor, DType::F32))
}

/// A tensor of `shape` on the device of `tensor`. What is in it is not defined.
fn empty(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}

/// Runs `kernel` on `buffers`, its first bindings, and `parameters`, the last; with `workgroups` of `threads`, or a few
/// more.
fn launch(
    kernel: impl KernelSource,
    threads: u32,
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
    let kernel = SourceKernel::new(kernel, CubeDim::new_1d(threads));
    buffers[0].client.launch(Box::new(kernel), count, arguments);
}

impl GpuKernels for CubeBackend {
    fn residua_sample_token(logits: CubeTensor, draw: Draw) -> CubeTensor {
        let logits = plain(logits);
        let [rows, classes] = [0, 1].map(|dim| logits.meta.shape()[dim]);
        let codes = empty(&logits, Shape::new([rows]), DType::I32);
        let parameters = SampleTokenParameters::new(rows, classes, &draw);
        launch(SampleToken, THREADS, rows as u32, &[&logits, &codes], &parameters);
        codes
    }

    fn residua_conv2d(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, resample: Resample) -> CubeTensor {
        conv2d::conv2d(plain(x), &plain(weight), &plain(bias), resample)
    }

    fn residua_group_norm(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> CubeTensor {
        group_norm::group_norm(plain(x), &plain(gamma), &plain(beta), groups, epsilon, silu)
    }
}

#[cfg(test)]
mod tests {
    use super::checks::{assert_same_parameters, threads_of_valid};
    use super::*;

    #[test]
    fn every_shader_is_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            threads_of_valid(&std::fs::read_to_string(&path).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }

    #[test]
    fn host_and_shader_agree() {
        let source = include_str!("../../../shaders/sample_token.wgsl");
        assert_eq!(threads_of_valid(source), THREADS);
        assert_same_parameters!(
            source,
            SampleTokenParameters {
                rows: Uint,
                classes: Uint,
                seed_low: Uint,
                seed_high: Uint,
                first_image: Uint,
                place: Uint,
                top_k: Uint,
                temperature: Float,
                top_p: Float,
            }
        );
    }
}
