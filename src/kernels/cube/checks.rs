//! What tests check of a shader before it runs.

use wgpu::naga::{
    AddressSpace, Module, ScalarKind, ShaderStage, StorageAccess, TypeInner, front::wgsl, valid,
};

/// Workgroup memory that every WebGPU device has, in bytes.
const WORKGROUP_MEMORY: u32 = 16_384;

/// A field of the parameters: name, offset in bytes, kind.
pub type Field<'a> = (&'a str, u32, ScalarKind);

pub fn parse(source: &str) -> Module {
    wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)))
}

/// Asserts that `source` computes or draws, and is valid.
pub fn assert_valid(source: &str) {
    match parse(source).entry_points.len() {
        1 => assert!(threads_of_valid(source) > 0),
        _ => assert_draws(source),
    }
}

/// `source`, which is valid without any optional feature.
fn validated(source: &str) -> Module {
    let module = parse(source);
    // `unpack2x16float`, which is no optional feature.
    let capabilities = valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let mut validator = valid::Validator::new(valid::ValidationFlags::all(), capabilities);
    validator.validate(&module).unwrap_or_else(|e| panic!("{e:?}"));
    module
}

/// Asserts that `source` is valid, and draws without writing to what it is given, as every device allows.
fn assert_draws(source: &str) {
    let module = validated(source);
    let entries: Vec<(ShaderStage, &str)> =
        module.entry_points.iter().map(|entry| (entry.stage, entry.name.as_str())).collect();
    assert_eq!(entries, [(ShaderStage::Vertex, "vertex"), (ShaderStage::Fragment, "fragment")]);
    for (_, variable) in module.global_variables.iter() {
        let store = StorageAccess::STORE;
        let writable = matches!(variable.space, AddressSpace::Storage { access } if access.contains(store));
        assert!(!writable, "{:?}", variable.name);
    }
}

/// Asserts that `source` is valid, within the limits that every device has, and has the entry point that a launch names;
/// gives its threads a workgroup.
pub fn threads_of_valid(source: &str) -> u32 {
    let module = validated(source);
    let variables = module.global_variables.iter().map(|(_, variable)| variable);
    let memory: u32 = variables
        .filter(|variable| variable.space == AddressSpace::WorkGroup)
        .map(|variable| module.types[variable.ty].inner.size(module.to_ctx()))
        .sum();
    assert!(memory <= WORKGROUP_MEMORY, "{memory} bytes of workgroup memory");
    let [entry] = &module.entry_points[..] else { panic!("one entry point") };
    let [threads, 1, 1] = entry.workgroup_size else { panic!("workgroups of one dimension") };
    assert_eq!(entry.name, "main");
    assert!(threads <= 256, "{threads} threads");
    threads
}

/// Asserts that the shader's parameters are `host`, in `size` bytes.
pub fn assert_parameters(source: &str, host: &[Field], size: usize) {
    let module = parse(source);
    let mut variables = module.global_variables.iter().map(|(_, variable)| variable);
    let variable = variables.find(|variable| variable.name.as_deref() == Some("parameters")).unwrap();
    let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else { panic!("a struct") };
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

/// Asserts that names, offsets and kinds of a shader's parameters are those of the host's struct.
macro_rules! assert_same_parameters {
    ($source:expr, $struct:ty { $($name:ident: $kind:ident),* $(,)? }) => {
        $crate::kernels::cube::checks::assert_parameters(
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

pub(in crate::kernels) use assert_same_parameters;
