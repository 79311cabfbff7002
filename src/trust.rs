//! Which hand-written kernels the GPU runs, and what a check of them has found. A process has one GPU, so that there is one
//! switch for each of them.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// A kernel at one shape, compared with its twin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// The kernel.
    pub kernel: GpuKernel,
    /// What it was given.
    pub shape: Cow<'static, str>,
    /// Whether the difference is within the tolerance.
    pub ok: bool,
    /// Largest difference between the two, of the largest magnitude expected; infinite where there is no result.
    pub difference: f32,
    /// Largest difference allowed.
    pub tolerance: f32,
    /// Milliseconds until the result was read back, most of them for building the shader.
    pub ms: f64,
}

/// Kernels that are off, a bit each.
static OFF: AtomicU32 = AtomicU32::new(0);

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

    /// Whether the GPU runs it; all are on at first.
    pub fn is_on(self) -> bool {
        !Self::SUBSTITUTED || OFF.load(Ordering::Relaxed) & self.bit() == 0
    }

    /// Switches it on or off, for models that are loaded from now on and, but for [`Self::Widen`], those at hand.
    pub fn switch(self, on: bool) {
        match on {
            true => OFF.fetch_and(!self.bit(), Ordering::Relaxed),
            false => OFF.fetch_or(self.bit(), Ordering::Relaxed),
        };
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What the check at the start has found.
static TABLE: OnceLock<Vec<Checked>> = OnceLock::new();

/// Keeps what the check at the start has found; the first time counts.
pub fn keep(table: Vec<Checked>) {
    TABLE.get_or_init(|| table);
}

/// What the check of the kernels has found; nothing before it is done, or without a GPU.
pub fn checked() -> &'static [Checked] {
    TABLE.get().map_or(&[], Vec::as_slice)
}
