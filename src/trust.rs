//! Which hand-written kernels the GPU runs, and what checks of them have found. A process has one GPU, so there is one
//! switch for each variant of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// A hand-written GPU kernel, or a pair that works together. Where one is off, Burn's own operations do its work, if there are any: see
/// [`Self::SUBSTITUTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuKernel {
    /// Convolution.
    Conv2d,
    /// Group norm, with SiLU or without.
    GroupNorm,
    /// Layer norm.
    LayerNorm,
    /// A linear layer of few rows.
    DecodeLinear,
    /// The matrix product.
    Matmul,
    /// Weights from f16 to f32. Without it, weights are loaded in f32.
    Widen,
    /// Attention of one position against a cache.
    DecodeAttention,
    /// The draw of a code.
    SampleToken,
    /// Residual quantization.
    ResidualQuantize,
    /// Sums of code embeddings.
    EmbedCodes,
}

/// A kernel as it is built for some of the shapes that it takes. A driver may get one wrong and the others right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    kernel: GpuKernel,
    /// Less than 64.
    number: usize,
}

/// The only variant of a kernel that is built in one way.
impl From<GpuKernel> for Variant {
    fn from(kernel: GpuKernel) -> Self {
        kernel.variant(0)
    }
}

/// A kernel at one shape, compared with its twin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// The kernel.
    pub kernel: GpuKernel,
    /// What it was given.
    pub shape: String,
    /// Whether the difference is within the tolerance.
    pub ok: bool,
    /// Largest difference between the two, of the largest magnitude expected; infinite where there is no result.
    pub difference: f32,
    /// Largest difference allowed.
    pub tolerance: f32,
    /// Milliseconds until the result was read back, most of them for building the shader.
    pub ms: f64,
}

/// A bit for each variant of each kernel.
type Switches = [AtomicU64; GpuKernel::ALL.len()];

/// Variants that are off.
static OFF: Switches = [const { AtomicU64::new(0) }; GpuKernel::ALL.len()];

/// Variants that were checked or switched.
static SETTLED: Switches = [const { AtomicU64::new(0) }; GpuKernel::ALL.len()];

impl GpuKernel {
    /// All kernels.
    pub const ALL: [Self; 10] = [
        Self::Conv2d,
        Self::GroupNorm,
        Self::LayerNorm,
        Self::DecodeLinear,
        Self::Matmul,
        Self::Widen,
        Self::DecodeAttention,
        Self::SampleToken,
        Self::ResidualQuantize,
        Self::EmbedCodes,
    ];

    /// Whether Burn's operations do the work of kernels that are off. A browser's program, whose every byte is fetched, is
    /// without them: they would be nearly half of it.
    pub const SUBSTITUTED: bool = cfg!(not(target_family = "wasm"));

    /// One of its variants.
    pub fn variant(self, number: usize) -> Variant {
        Variant { kernel: self, number }
    }

    /// Switches all variants on or off, for models that are loaded from now on and, but for [`Self::Widen`], those at hand.
    pub fn switch(self, on: bool) {
        SETTLED[self as usize].store(u64::MAX, Ordering::Relaxed);
        OFF[self as usize].store(if on { 0 } else { u64::MAX }, Ordering::Relaxed);
    }
}

impl Variant {
    /// What it is a variant of.
    pub fn kernel(self) -> GpuKernel {
        self.kernel
    }

    /// Whether the GPU runs it; all are on at first.
    pub fn is_on(self) -> bool {
        !GpuKernel::SUBSTITUTED || OFF[self.kernel as usize].load(Ordering::Relaxed) & self.bit() == 0
    }

    /// Switches it on or off, as [`GpuKernel::switch`] does all of them.
    pub fn switch(self, on: bool) {
        self.settle();
        let off = &OFF[self.kernel as usize];
        match on {
            true => off.fetch_and(!self.bit(), Ordering::Relaxed),
            false => off.fetch_or(self.bit(), Ordering::Relaxed),
        };
    }

    /// Whether nobody has checked or switched it yet: true for the first who asks, who has to check it.
    pub fn settle(self) -> bool {
        SETTLED[self.kernel as usize].fetch_or(self.bit(), Ordering::Relaxed) & self.bit() == 0
    }

    fn bit(self) -> u64 {
        1 << self.number
    }
}

/// What checks have found.
static TABLE: Mutex<Vec<Checked>> = Mutex::new(Vec::new());

fn table() -> MutexGuard<'static, Vec<Checked>> {
    // A list is whole after every step.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what a check has found.
pub fn keep(found: &[Checked]) {
    table().extend_from_slice(found);
}

/// What the checks have found so far; nothing without a GPU.
pub fn checked() -> Vec<Checked> {
    table().clone()
}

/// All but the first `known` of [`checked`].
pub fn checked_since(known: usize) -> Vec<Checked> {
    table().iter().skip(known).cloned().collect()
}
