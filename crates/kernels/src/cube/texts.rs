//! Every shader source that the host hands to a driver, checked against the limits of all devices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::checks::{Taken, taken_by_valid};

/// A shader source as the host builds it.
pub struct Text {
    /// The file in `shaders/` that it is built from, without the extension.
    shader: &'static str,
    /// Distinguishes the variants of a file; empty if there is only one.
    kind: String,
    /// Threads per workgroup as the host launches it; 0 for a render shader.
    threads: u32,
    pub source: String,
}

impl Text {
    pub fn new(
        shader: &'static str,
        kind: impl Into<String>,
        threads: u32,
        source: impl Into<String>,
    ) -> Self {
        Self { shader, kind: kind.into(), threads, source: source.into() }
    }

    /// A shader with a fixed source.
    pub fn fixed(shader: &'static str, threads: u32, source: &str) -> Self {
        Self::new(shader, "", threads, source)
    }

    pub fn name(&self) -> String {
        if self.kind.is_empty() { self.shader.into() } else { format!("{}-{}", self.shader, self.kind) }
    }
}

/// All compute shaders.
pub fn computing() -> impl Iterator<Item = Text> {
    all().into_iter().filter(|text| text.threads > 0)
}

fn all() -> Vec<Text> {
    [
        super::attention::texts(),
        super::conv2d::texts(),
        super::embed_codes::texts(),
        super::group_norm::texts(),
        super::layer_norm::texts(),
        super::linear::texts(),
        super::matmul::texts(),
        super::normed_linear::texts(),
        super::residual_quantize::texts(),
        super::sample_token::texts(),
        super::tiled_linear::texts(),
        super::widen::texts(),
        crate::present::texts(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Prints the most resources that any variant of each shader uses. tests/shaders/run sets
/// `RESIDUA_SHADERS_OUT` to have the sources written there, for the compilers of other platforms.
#[test]
fn every_variant_is_valid_on_every_device() {
    let variants = all();
    let mut largest = BTreeMap::<&str, (usize, Taken)>::new();
    for variant in &variants {
        let taken = taken_by_valid(&variant.name(), &variant.source);
        assert_eq!(taken.threads, variant.threads, "{}: as launched", variant.name());
        let (count, most) = largest.entry(variant.shader).or_default();
        *count += 1;
        most.threads = most.threads.max(taken.threads);
        most.memory = most.memory.max(taken.memory);
        most.registers = most.registers.max(taken.registers);
        most.buffers = most.buffers.max(taken.buffers);
    }
    println!("{:22} variants  threads  bytes of workgroup memory  registers  storage buffers", "shader");
    for (shader, (count, Taken { threads, memory, registers, buffers })) in largest {
        println!("{shader:22} {count:8}  {threads:7}  {memory:25}  {registers:9}  {buffers:15}");
    }
    if let Some(folder) = std::env::var_os("RESIDUA_SHADERS_OUT") {
        for variant in &variants {
            fs::write(Path::new(&folder).join(variant.name()).with_extension("wgsl"), &variant.source)
                .unwrap();
        }
    }
}

#[test]
fn every_variable_counts_as_registers() {
    let source = "
        var<private> own: array<f32, 8>;
        fn first() -> f32 { var four = vec4<f32>(own[0]); return four.x; }
        @compute @workgroup_size(64, 1, 1)
        fn main() { var sums = mat4x4<f32>(); sums[0] = vec4<f32>(first()); }
    ";
    assert_eq!(taken_by_valid("three variables", source).registers, 8 + 4 + 16);
}

/// If two were the same, a variant would not differ in the shader that it launches.
#[test]
fn no_two_variants_are_the_same() {
    let variants = all();
    let names: BTreeSet<String> = variants.iter().map(Text::name).collect();
    let sources: BTreeSet<&str> = variants.iter().map(|variant| variant.source.as_str()).collect();
    assert_eq!([names.len(), sources.len()], [variants.len(); 2]);
}

/// Each file is, unchanged, the beginning of one of its variants, and each shared file is part of several
/// shaders, so the source that one reads is source that runs.
#[test]
fn no_shader_is_left_out() {
    let variants = all();
    for (name, text) in files("shaders") {
        let is_own = |variant: &Text| variant.shader == name && variant.source.starts_with(&text);
        assert!(variants.iter().any(is_own), "{name}");
    }
    for (name, text) in files("shaders/shared") {
        let users: BTreeSet<&str> = variants
            .iter()
            .filter(|variant| variant.source.contains(&text))
            .map(|variant| variant.shader)
            .collect();
        assert!(users.len() > 1, "{name} is in {users:?} only");
    }
}

/// The names, without extension, and contents of the WGSL files in a folder; at least one.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "wgsl"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().into(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(!files.is_empty());
    files
}
