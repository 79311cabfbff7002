//! Static checks of shaders in tests.

use wgpu::naga::{
    AddressSpace, EntryPoint, GlobalVariable, Module, ScalarKind, ShaderStage, StorageAccess, TypeInner,
    front::wgsl, valid,
};

/// Threads and bytes of memory that every WebGPU device allows per workgroup.
const THREADS: u32 = 256;
const WORKGROUP_MEMORY: u32 = 16_384;

/// 32-bit registers that a thread's variables may take. Most GPUs have 256 for each thread, and temporary values need
/// the others.
const REGISTERS: u32 = 192;

/// Storage buffers that every WebGPU device can bind at once.
const STORAGE_BUFFERS: usize = 8;

/// A field of the parameters: name, offset in bytes and kind.
pub type Field<'a> = (&'a str, u32, ScalarKind);

fn parse(source: &str) -> Module {
    wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)))
}

/// Parses `source` and validates it without any optional feature.
fn validated(name: &str, source: &str) -> Module {
    let module = parse(source);
    // For `unpack2x16float`, which is not an optional feature.
    let capabilities = valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let mut validator = valid::Validator::new(valid::ValidationFlags::all(), capabilities);
    validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    module
}

/// Resources that a shader uses: threads and bytes of memory per workgroup (0 for a render shader), an estimate of the
/// registers per thread, and storage buffers.
#[derive(Default)]
pub struct Taken {
    pub threads: u32,
    pub memory: u32,
    pub registers: u32,
    pub buffers: usize,
}

/// Asserts that `source` is valid, stays within the limits of every device and has the entry points that the
/// host expects. Returns the resources that it uses.
pub fn taken_by_valid(name: &str, source: &str) -> Taken {
    let module = validated(name, source);
    let threads = match &module.entry_points[..] {
        [entry] => threads_of(entry),
        _ => {
            assert_draws(&module);
            0
        }
    };
    let memory = globals(&module, |space| space == AddressSpace::WorkGroup)
        // Rounded up as in WebGPU's definition.
        .map(|variable| module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16))
        .sum();
    let registers = registers(&module);
    let buffers = globals(&module, |space| matches!(space, AddressSpace::Storage { .. })).count();
    assert!(threads <= THREADS, "{name}: {threads} threads");
    assert!(memory <= WORKGROUP_MEMORY, "{name}: {memory} bytes of workgroup memory");
    assert!(registers <= REGISTERS, "{name}: {registers} registers");
    assert!(buffers <= STORAGE_BUFFERS, "{name}: {buffers} storage buffers");
    Taken { threads, memory, registers, buffers }
}

/// Registers for all variables of a thread, as if all were needed at once.
fn registers(module: &Module) -> u32 {
    let global = globals(module, |space| space == AddressSpace::Private).map(|variable| variable.ty);
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    let functions = module.functions.iter().map(|(_, function)| function).chain(entries);
    let local =
        functions.flat_map(|function| function.local_variables.iter().map(|(_, variable)| variable.ty));
    global.chain(local).map(|ty| module.types[ty].inner.size(module.to_ctx()).div_ceil(4)).sum()
}

fn globals(module: &Module, wanted: impl Fn(AddressSpace) -> bool) -> impl Iterator<Item = &GlobalVariable> {
    module
        .global_variables
        .iter()
        .map(|(_, variable)| variable)
        .filter(move |variable| wanted(variable.space))
}

fn threads_of(entry: &EntryPoint) -> u32 {
    assert_eq!((entry.stage, entry.name.as_str()), (ShaderStage::Compute, "main"));
    let [threads, 1, 1] = entry.workgroup_size else { panic!("expected one-dimensional workgroups") };
    threads
}

/// Asserts that `module` is a render shader without writable buffers, which not every device allows.
fn assert_draws(module: &Module) {
    let entries: Vec<(ShaderStage, &str)> =
        module.entry_points.iter().map(|entry| (entry.stage, entry.name.as_str())).collect();
    assert_eq!(entries, [(ShaderStage::Vertex, "vertex"), (ShaderStage::Fragment, "fragment")]);
    let writable =
        |space| matches!(space, AddressSpace::Storage { access } if access.contains(StorageAccess::STORE));
    assert_eq!(globals(module, writable).count(), 0, "writable buffers in a render shader");
}

/// Asserts that the shader's parameters match `host` and take `size` bytes.
pub fn assert_parameters(source: &str, host: &[Field], size: usize) {
    let module = parse(source);
    let mut variables = module.global_variables.iter().map(|(_, variable)| variable);
    let variable = variables.find(|variable| variable.name.as_deref() == Some("parameters")).unwrap();
    let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
        panic!("expected a struct")
    };
    let shader: Vec<Field> = members
        .iter()
        .map(|member| {
            let kind = module.types[member.ty].inner.scalar_kind().unwrap();
            (member.name.as_deref().unwrap(), member.offset, kind)
        })
        .collect();
    assert_eq!(shader, host);
    assert_eq!(*span as usize, size);
}

/// Asserts that the names, offsets and kinds of a shader's parameters match the host's struct.
macro_rules! assert_same_parameters {
    ($source:expr, $struct:ty { $($name:ident: $kind:ident),* $(,)? }) => {
        $crate::cube::checks::assert_parameters(
            $source,
            &[$((
                stringify!($name),
                std::mem::offset_of!($struct, $name) as u32,
                wgpu::naga::ScalarKind::$kind,
            )),*],
            size_of::<$struct>(),
        )
    };
}

pub(crate) use assert_same_parameters;
