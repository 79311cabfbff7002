//! Checks that kernels stay within their buffers. Drivers hide violations: reads past the end of a binding
//! return zero and writes are dropped. So each launch is repeated on longer copies of its buffers, padded
//! with NaN.

use std::cell::RefCell;
use std::collections::BTreeSet;

use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

use super::launch::Shader;

thread_local! {
    /// Shader sources launched by this thread while its launches are being repeated.
    static WATCHED: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
}

/// 32-bit elements appended to each copy.
const BEYOND: usize = 4096;

/// Runs `work` and returns its result and the sources of its kernels. Panics if a kernel reads or writes
/// outside its buffers.
pub fn watched<T>(work: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
    WATCHED.set(Some(BTreeSet::new()));
    let result = work();
    (result, WATCHED.take().expect("only this function ends the watch"))
}

/// A launch to repeat: the kernel and the previous contents of its buffers.
pub struct Repeated {
    text: String,
    before: Vec<Vec<u8>>,
}

/// A kernel with the source only: the original kernel's ID already belongs to its own launch.
struct Text(String);

impl KernelSource for Text {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.0.as_str())
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.0.clone())
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

impl Repeated {
    /// Captures the state before `shader` runs on `buffers`; `None` unless this thread is watched.
    pub fn before(shader: &impl Shader, buffers: &[&CubeTensor]) -> Option<Self> {
        let text = WATCHED.with_borrow_mut(|watched| {
            let (launched, text) = (watched.as_mut()?, shader.source());
            launched.insert(text.clone());
            Some(text)
        })?;
        let before = buffers.iter().map(|buffer| contents(buffer, buffer.handle.clone())).collect();
        Some(Self { text, before })
    }

    /// Runs the kernel again on longer buffers and compares them with `buffers`, on which it has already run.
    pub fn check(self, threads: u32, count: CubeCount, buffers: &[&CubeTensor], words: Vec<u64>) {
        let client = &buffers[0].client;
        let beyond = f32::NAN.to_ne_bytes().repeat(BEYOND);
        let longer: Vec<Handle> = self
            .before
            .iter()
            .map(|bytes| client.create_from_slice(&[&bytes[..], &beyond].concat()))
            .collect();
        let arguments = KernelArguments::new()
            .with_buffers(longer.iter().map(|handle| handle.clone().binding()).collect())
            .with_info(MetadataBindingInfo::custom(words));
        let kernel = SourceKernel::new(Text(self.text.clone()), CubeDim::new_1d(threads));
        client.launch(Box::new(kernel), count, arguments);
        for ((buffer, longer), before) in buffers.iter().zip(longer).zip(&self.before) {
            let found = client.read_one(longer).expect("a readable buffer");
            let (inside, outside) = found.split_at(before.len());
            assert!(outside == beyond, "the kernel writes outside its buffers:\n{}", self.text);
            let expected = contents(buffer, buffer.handle.clone());
            assert!(inside == expected, "the kernel reads outside its buffers:\n{}", self.text);
        }
    }
}

/// The bytes of a buffer, without padding.
fn contents(buffer: &CubeTensor, handle: Handle) -> Vec<u8> {
    let bytes = buffer.client.read_one(handle).expect("a readable buffer");
    bytes[..buffer.meta.num_elements() * buffer.dtype.size()].to_vec()
}
