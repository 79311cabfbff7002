//! Launches WGSL kernels.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::ops::Range;

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ExecutionMode;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

#[cfg(test)]
use super::bounds;
use crate::plan::{self, MOST_MULTIPLY_ADDS};

/// A shader with a fixed source, `NAME::SOURCE`, which is a text of `residua_shaders`.
macro_rules! shader {
    ($name:ident, $text:ident) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        struct $name;

        impl $name {
            const SOURCE: &'static str = residua_shaders::$text.source;
        }

        impl $crate::cube::launch::Shader for $name {
            const FILE: &'static str = residua_shaders::$text.file;

            fn source(&self) -> String {
                Self::SOURCE.into()
            }
        }
    };
}

pub(super) use shader;

/// Default number of threads per workgroup.
pub const THREADS: u32 = 256;

/// Most workgroups in one dimension: as many as WebGPU allows. In this crate's tests, small launches have two dimensions too.
const MAX_WORKGROUPS: u32 = if cfg!(test) { 8 } else { 65_535 };

/// A compute shader. Its source guarantees that its loops end and its accesses stay within its buffers. Equal
/// shaders have equal sources.
pub trait Shader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Its file in `shaders/`.
    const FILE: &'static str;

    /// The source, in WGSL.
    fn source(&self) -> String;
}

/// A change to the source of a shader: what it replaces, and by what.
pub type Change = (String, String);

/// The change of a constant from `written` in the source to `value`.
pub fn constant<T: Display>(name: &str, written: T, value: T) -> Change {
    (format!("const {name} = {written}u;"), format!("const {name} = {value}u;"))
}

/// `source` with all `changes`.
///
/// # Panics
/// The text that a change replaces does not occur exactly once, so the result would not be what the host launches.
pub fn changed(source: &str, changes: &[Change]) -> String {
    changes.iter().fold(source.into(), |source: String, (written, special)| {
        let count = source.matches(written.as_str()).count();
        assert!(count == 1, "expected `{written}` once, found it {count} times in the shader:\n{source}");
        source.replace(written, special)
    })
}

/// `tensor` as contiguous f32.
pub fn plain(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(cast(tensor, DType::F32))
}

/// A tensor that may be written to: `tensor` if nothing else refers to its buffer, else a copy.
pub fn own(tensor: CubeTensor) -> CubeTensor {
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// An uninitialized tensor of `shape` on the device of `tensor`.
pub fn empty(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}

/// A buffer that a kernel binds, and how much of it one launch reads or writes.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    tensor: &'a CubeTensor,
    /// Whether it holds weights of the model.
    is_weights: bool,
    /// Elements that are read or written.
    elements: usize,
}

impl<'a> Bound<'a> {
    /// Weights of the model, all of which are read.
    pub fn weights(tensor: &'a CubeTensor) -> Self {
        Self { is_weights: true, ..Self::values(tensor) }
    }

    /// Inputs or results, all of which are read or written.
    pub fn values(tensor: &'a CubeTensor) -> Self {
        Self { tensor, is_weights: false, elements: tensor.meta.num_elements() }
    }

    /// The same, of which only so many elements are read or written.
    pub fn part(self, elements: usize) -> Self {
        Self { elements, ..self }
    }

    fn bytes(&self) -> u64 {
        (self.elements * self.tensor.dtype.size()) as u64
    }
}

/// A shader as CubeCL takes it. Because it is unchecked, CubeCL adds no counters to its loops, which would keep
/// drivers from unrolling them.
struct Unchecked<S>(S);

impl<S: Shader> KernelSource for Unchecked<S> {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.0.source())
    }

    fn id(&self) -> KernelId {
        KernelId::new::<S>().info(self.0.clone()).mode(ExecutionMode::Unchecked)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Runs `shader` with `buffers` as its first bindings and `parameters` as the last, in at least `workgroups`
/// workgroups of `threads` threads; there may be a few extra workgroups. While this thread plans, it is only recorded.
pub fn launch<S: Shader>(
    shader: S,
    threads: u32,
    workgroups: u32,
    buffers: &[Bound<'_>],
    parameters: &impl bytemuck::Pod,
) {
    launch_counted(shader, threads, workgroups, 0, buffers, parameters);
}

/// [`launch`] of a convolution or a matrix product with so many `multiply_adds`, in as many launches as
/// [`MOST_MULTIPLY_ADDS`] asks for. `parameters` are those of a launch whose workgroups begin with the given one.
pub fn launch_in_parts<S: Shader, P: bytemuck::Pod>(
    shader: S,
    threads: u32,
    workgroups: u32,
    multiply_adds: u64,
    buffers: &[Bound<'_>],
    parameters: impl Fn(u32) -> P,
) {
    // The product of the two may take more than 64 bits.
    let share = |whole: u64, part: u32| {
        (u128::from(whole) * u128::from(part)).div_ceil(u128::from(workgroups.max(1))) as u64
    };
    for Range { start, end } in parts(workgroups, multiply_adds) {
        let count = end - start;
        let buffers: Vec<Bound<'_>> = buffers
            .iter()
            .map(|buffer| {
                if buffer.is_weights {
                    *buffer
                } else {
                    buffer.part(share(buffer.elements as u64, count) as usize)
                }
            })
            .collect();
        let multiply_adds = share(multiply_adds, count);
        launch_counted(shader.clone(), threads, count, multiply_adds, &buffers, &parameters(start));
    }
}

/// Splits `workgroups`, which share `multiply_adds` evenly, into the fewest equal parts that are small enough and have
/// one dimension: with two, the last workgroups of a part would be the first of the next.
fn parts(workgroups: u32, multiply_adds: u64) -> impl Iterator<Item = Range<u32>> {
    let most = u64::from(workgroups).saturating_mul(MOST_MULTIPLY_ADDS) / multiply_adds.max(1);
    // A single workgroup can't be split.
    let size = most.clamp(1, u64::from(workgroups.clamp(1, MAX_WORKGROUPS))) as u32;
    let size = workgroups.div_ceil(workgroups.div_ceil(size).max(1)).max(1);
    (0..workgroups).step_by(size as usize).map(move |start| start..workgroups.min(start + size))
}

fn launch_counted<S: Shader>(
    shader: S,
    threads: u32,
    workgroups: u32,
    multiply_adds: u64,
    buffers: &[Bound<'_>],
    parameters: &impl bytemuck::Pod,
) {
    let width = workgroups.clamp(1, MAX_WORKGROUPS);
    let height = workgroups.div_ceil(width);
    if plan::is_planning() {
        let launch = planned::<S>(threads, width * height, buffers);
        return plan::add(plan::Launch { multiply_adds, ..launch });
    }
    let count = CubeCount::Static(width, height, 1);
    let bytes = bytemuck::bytes_of(parameters);
    let mut words = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    let tensors: Vec<&CubeTensor> = buffers.iter().map(|buffer| buffer.tensor).collect();
    let arguments = KernelArguments::new()
        .with_buffers(tensors.iter().map(|tensor| tensor.handle.clone().binding()).collect())
        .with_info(MetadataBindingInfo::custom(words.clone()));
    #[cfg(test)]
    let repeated = bounds::Repeated::before(&shader, &tensors).map(|repeated| (repeated, count.clone()));
    let kernel = SourceKernel::new(Unchecked(shader), CubeDim::new_1d(threads));
    tensors[0].client.launch(Box::new(kernel), count, arguments);
    #[cfg(test)]
    if let Some((repeated, count)) = repeated {
        repeated.check(threads, count, &tensors, words);
    }
}

/// The launch of `S` as a plan lists it.
fn planned<S: Shader>(threads: u32, workgroups: u32, buffers: &[Bound<'_>]) -> plan::Launch {
    let bytes = |of_weights: bool| -> u64 {
        buffers.iter().filter(|buffer| buffer.is_weights == of_weights).map(Bound::bytes).sum()
    };
    let kernel = S::FILE.trim_end_matches(".wgsl");
    let (weights, values) = (bytes(true), bytes(false));
    plan::Launch { kernel, workgroups, threads, weights, values, multiply_adds: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::values;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;
    use burn_cubecl::CubeBackend;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Refused;

    impl Shader for Refused {
        const FILE: &'static str = "none";

        fn source(&self) -> String {
            "no shader at all".into()
        }
    }

    #[backend_extension(Cube)]
    trait Broken: Backend {
        fn refused(x: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    impl Broken for CubeBackend {
        fn refused(x: CubeTensor) -> CubeTensor {
            let y = empty(&x, x.meta.shape().clone(), DType::F32);
            launch(Refused, THREADS, 1, &[Bound::values(&x), Bound::values(&y)], &[0u32]);
            y
        }
    }

    /// The kernel check relies on this: reading the result, or an input that the kernel might have written
    /// to, is an error, and nothing else is affected.
    #[test]
    fn a_rejected_shader_fails_at_the_read() {
        let device = gpu();
        let x = Tensor::<1>::ones([5], &device);
        let y = Tensor::<1>::from_dispatch(Dispatch::refused(x.into_dispatch()));
        let read = pollster::block_on(y.into_data_async());
        assert!(read.is_err(), "{read:?}");
        let after = Tensor::<1>::ones([5], &device) + 1.0;
        assert_eq!(values(after), [2.0; 5]);
    }

    #[test]
    fn large_launches_are_split_evenly() {
        let split = |workgroups, multiply_adds| {
            parts(workgroups, multiply_adds).map(|part| [part.start, part.end]).collect::<Vec<_>>()
        };
        assert_eq!(split(7, 0), [[0, 7]]);
        assert_eq!(split(7, MOST_MULTIPLY_ADDS), [[0, 7]]);
        assert_eq!(split(7, MOST_MULTIPLY_ADDS + 1), [[0, 4], [4, 7]]);
        assert_eq!(split(7, 2 * MOST_MULTIPLY_ADDS), [[0, 3], [3, 6], [6, 7]]);
        assert_eq!(split(MAX_WORKGROUPS, 0), [[0, MAX_WORKGROUPS]]);
        assert_eq!(split(MAX_WORKGROUPS + 1, 0).len(), 2);
        assert_eq!(split(2, 20 * MOST_MULTIPLY_ADDS), [[0, 1], [1, 2]]);
        assert!(split(0, 1).is_empty());
    }

    #[test]
    fn only_the_named_constant_changes() {
        let changes = [constant("ROWS", 4, 8), constant("DEPTH", 2, 16)];
        assert_eq!(
            changed("const ROWS = 4u;\nconst OWN_ROWS = 4u;\nconst DEPTH = 2u;\n", &changes),
            "const ROWS = 8u;\nconst OWN_ROWS = 4u;\nconst DEPTH = 16u;\n"
        );
    }

    #[test]
    #[should_panic(expected = "expected `const ROWS = 4u;` once, found it 0 times")]
    fn a_constant_that_the_shader_lacks_is_an_error() {
        changed("const ROWS = 5u;", &[constant("ROWS", 4, 8)]);
    }

    #[test]
    #[should_panic(expected = "expected `const ROWS = 4u;` once, found it 2 times")]
    fn a_constant_that_occurs_twice_is_an_error() {
        changed("const ROWS = 4u; const ROWS = 4u;", &[constant("ROWS", 4, 8)]);
    }
}
