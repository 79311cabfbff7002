//! Whether kernels keep to their buffers. Drivers hide it where one doesn't: what is beyond a binding reads as zero there,
//! and is not written. So each launch is repeated on longer copies of its buffers, with NaN at their ends.

use std::cell::RefCell;
use std::collections::BTreeSet;

use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

thread_local! {
    /// The texts launched by this thread, while its launches are repeated.
    static WATCHED: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
}

/// Elements of 32 bits behind each copy.
const BEYOND: usize = 4096;

/// Does `work`, and panics if one of its kernels reads or writes outside its buffers; the result, and the kernels' texts.
pub fn watched<T>(work: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
    WATCHED.set(Some(BTreeSet::new()));
    let result = work();
    (result, WATCHED.take().expect("nobody else ends it"))
}

/// A launch that is to be repeated: the kernel, and what its buffers held before.
pub struct Repeated {
    text: String,
    before: Vec<Vec<u8>>,
}

/// The text alone: the id of the kernel itself is taken by its own launch.
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
    /// What has to be known before `kernel` runs on `buffers`; nothing if nobody watches.
    pub fn before(kernel: &impl KernelSource, buffers: &[&CubeTensor]) -> Option<Self> {
        let text = WATCHED.with_borrow_mut(|watched| {
            let (launched, text) = (watched.as_mut()?, kernel.source().complete());
            launched.insert(text.clone());
            Some(text)
        })?;
        let before = buffers.iter().map(|buffer| contents(buffer, buffer.handle.clone())).collect();
        Some(Self { text, before })
    }

    /// Runs it again on longer buffers, and compares these with `buffers`, on which it has run.
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
            let found = client.read_one(longer).expect("it can be read");
            let (inside, outside) = found.split_at(before.len());
            assert!(outside == beyond, "it writes outside its buffers:\n{}", self.text);
            let expected = contents(buffer, buffer.handle.clone());
            assert!(inside == expected, "it reads outside its buffers:\n{}", self.text);
        }
    }
}

/// The bytes of a buffer, without what it is rounded up to.
fn contents(buffer: &CubeTensor, handle: Handle) -> Vec<u8> {
    let bytes = buffer.client.read_one(handle).expect("it can be read");
    bytes[..buffer.meta.num_elements() * buffer.dtype.size()].to_vec()
}
