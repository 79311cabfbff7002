//! Which hand-written kernels the GPU runs, and the results of checking them. A process uses one GPU, so each
//! kernel variant has one switch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// A hand-written GPU kernel, or a pair that works together. If it is off, Burn's own operations replace it.
/// A browser lacks Burn's convolution and matrix product: there another variant replaces these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuKernel {
    /// Convolution.
    Conv2d,
    /// Group norm, with or without SiLU.
    GroupNorm,
    /// Layer norm.
    LayerNorm,
    /// A linear layer of up to 256 rows, or 8 on a software rasterizer.
    DecodeLinear,
    /// Layer norm and a linear layer with few rows.
    NormedLinear,
    /// Matrix product.
    Matmul,
    /// Converts weights from f16 or 8 bits to f32. Without it, weights are loaded in f32.
    Widen,
    /// Attention of one position over a cache.
    DecodeAttention,
    /// Attention of whole sequences.
    Attention,
    /// Sampling of a code.
    SampleToken,
    /// Residual quantization.
    ResidualQuantize,
    /// Sums of code embeddings.
    EmbedCodes,
}

/// A kernel as built for some of the shapes that it accepts. A driver may get one variant wrong and the
/// others right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    kernel: GpuKernel,
    /// Less than 64.
    number: usize,
}

/// The only variant of a kernel that has just one.
impl From<GpuKernel> for Variant {
    fn from(kernel: GpuKernel) -> Self {
        kernel.variant(0)
    }
}

/// A kernel compared with its reference at one shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// The kernel.
    pub kernel: GpuKernel,
    /// The input shape.
    pub shape: String,
    /// Whether the difference is within the tolerance.
    pub ok: bool,
    /// Largest difference between the two, relative to the largest expected magnitude; infinite if there is
    /// no result.
    pub difference: f32,
    /// Largest difference allowed.
    pub tolerance: f32,
    /// Milliseconds until the result was read back, mostly spent compiling the shader.
    pub ms: f64,
}

/// One bit for each variant of each kernel.
type Switches = [AtomicU64; GpuKernel::ALL.len()];

/// Variants that are off.
static OFF: Switches = [const { AtomicU64::new(0) }; GpuKernel::ALL.len()];

/// Variants that have been checked or switched.
static SETTLED: Switches = [const { AtomicU64::new(0) }; GpuKernel::ALL.len()];

impl GpuKernel {
    /// All kernels.
    pub const ALL: [Self; 12] = [
        Self::Conv2d,
        Self::GroupNorm,
        Self::LayerNorm,
        Self::DecodeLinear,
        Self::NormedLinear,
        Self::Matmul,
        Self::Widen,
        Self::DecodeAttention,
        Self::Attention,
        Self::SampleToken,
        Self::ResidualQuantize,
        Self::EmbedCodes,
    ];

    /// The variant with this number.
    pub fn variant(self, number: usize) -> Variant {
        Variant { kernel: self, number }
    }

    /// Switches all variants on or off. This affects models loaded from now on and, except for
    /// [`Self::Widen`], models already loaded.
    pub fn switch(self, on: bool) {
        SETTLED[self as usize].store(u64::MAX, Ordering::Relaxed);
        OFF[self as usize].store(if on { 0 } else { u64::MAX }, Ordering::Relaxed);
    }
}

impl Variant {
    /// The kernel.
    pub fn kernel(self) -> GpuKernel {
        self.kernel
    }

    /// Whether the GPU runs this variant; all are on at first.
    pub fn is_on(self) -> bool {
        OFF[self.kernel as usize].load(Ordering::Relaxed) & self.bit() == 0
    }

    /// Switches this variant on or off; [`GpuKernel::switch`] switches all of them.
    pub fn switch(self, on: bool) {
        self.settle();
        let off = &OFF[self.kernel as usize];
        if on {
            off.fetch_and(!self.bit(), Ordering::Relaxed);
        } else {
            off.fetch_or(self.bit(), Ordering::Relaxed);
        }
    }

    /// True for the first caller if the variant has not been checked or switched yet; that caller has to
    /// check it.
    pub fn settle(self) -> bool {
        SETTLED[self.kernel as usize].fetch_or(self.bit(), Ordering::Relaxed) & self.bit() == 0
    }

    fn bit(self) -> u64 {
        1 << self.number
    }
}

/// Results of all checks.
static TABLE: Mutex<Vec<Checked>> = Mutex::new(Vec::new());

fn table() -> MutexGuard<'static, Vec<Checked>> {
    // The list is valid after every step, so a poisoned lock is safe to use.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stores the results of a check.
pub fn keep(found: &[Checked]) {
    table().extend_from_slice(found);
}

/// All results so far; empty without a GPU.
pub fn checked() -> Vec<Checked> {
    table().clone()
}

/// All but the first `known` of [`checked`].
pub fn checked_since(known: usize) -> Vec<Checked> {
    table().iter().skip(known).cloned().collect()
}
