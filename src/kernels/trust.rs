//! Which hand-written kernels the GPU runs. A process has one GPU, so that there is one switch for each of them.

use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

/// A hand-written GPU kernel, or a pair that works together. Where one is off, Burn's own operations do its work, if there are any: see
/// [`Self::has_substitute`].
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

    /// Whether the GPU runs it; all are on at first.
    pub fn is_on(self) -> bool {
        OFF.load(Ordering::Relaxed) & self.bit() == 0
    }

    /// Switches it on or off, for models that are loaded from now on and, but for [`Self::Widen`], those at hand.
    pub fn switch(self, on: bool) {
        match on {
            true => OFF.fetch_and(!self.bit(), Ordering::Relaxed),
            false => OFF.fetch_or(self.bit(), Ordering::Relaxed),
        };
    }

    /// Whether Burn's operations do its work where it is off. A browser's program, whose every byte is fetched, has no
    /// matrix product for a GPU but ours: Burn's would be a third of it.
    pub const fn has_substitute(self) -> bool {
        !(cfg!(target_family = "wasm") && matches!(self, Self::Matmul))
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}
