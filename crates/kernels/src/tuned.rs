//! Which variant of a kernel computes a layer. Each kernel has a default for each layer. `tune` measures the others on the
//! adapter in use, and what it finds is stored with the verdicts on kernels. All variants give the same results.

use std::cell::{Cell, RefCell};
use std::sync::{OnceLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::device::{self, adapter};
use crate::{Grain, verdicts};

/// A layer that several variants of a kernel can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// A linear layer, with or without a norm before it.
    Linear {
        /// Rows of inputs.
        rows: usize,
        /// Inputs of a row.
        inputs: usize,
        /// Outputs of a row.
        outputs: usize,
        /// How its weights are stored: 0 for f32, 1 for f16, 2 for 8 bits.
        kind: usize,
    },
    /// A convolution of 3x3 pixels.
    Conv2d {
        /// Images at once.
        images: usize,
        /// Channels of the input.
        in_channels: usize,
        /// Channels of the output.
        out_channels: usize,
        /// Rows of pixels of the output.
        height: usize,
        /// Columns of pixels of the output.
        width: usize,
        /// Whether the output is twice as large as the input.
        up: bool,
    },
}

/// The variant to use for a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuned {
    /// The layer.
    pub layer: Layer,
    /// Its number among the layer's variants.
    pub choice: usize,
}

/// A layer that was computed, and its variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The layer.
    pub layer: Layer,
    /// What distinguishes its variants, one entry for each.
    pub variants: &'static [&'static str],
    /// The variant that is used unless another one was faster.
    pub default: usize,
}

thread_local! {
    /// The variant that this thread forces on a layer.
    static FORCED: Cell<Option<Tuned>> = const { Cell::new(None) };
    /// The layers that this thread has asked for; `None` unless it notes them.
    static ASKED: RefCell<Option<Vec<Asked>>> = const { RefCell::new(None) };
}

/// The fastest variants on the adapter in use.
static FASTEST: OnceLock<RwLock<Vec<Tuned>>> = OnceLock::new();

/// The variant for `layer`, a number below the length of `variants`, in kernels of this `grain`.
pub(crate) fn choice(grain: Grain, layer: Layer, variants: &'static [&'static str], default: usize) -> usize {
    ASKED.with_borrow_mut(|asked| {
        if let Some(asked) = asked
            && asked.iter().all(|one| one.layer != layer)
        {
            asked.push(Asked { layer, variants, default });
        }
    });
    let chosen = match FORCED.get() {
        Some(forced) if forced.layer == layer => Some(forced.choice),
        // The adapter was measured with its own grain.
        _ if grain == device::grain() => fastest(layer),
        _ => None,
    };
    chosen.filter(|&choice| choice < variants.len()).unwrap_or(default)
}

/// The fastest variant for `layer` on the adapter in use, if it was measured.
fn fastest(layer: Layer) -> Option<usize> {
    // Before an adapter is open, it is not known which was measured.
    if adapter().is_empty() {
        return None;
    }
    let tuned = FASTEST.get_or_init(|| RwLock::new(verdicts::tuned()));
    // The list is valid after every step, so a poisoned lock is safe to use.
    let tuned = tuned.read().unwrap_or_else(PoisonError::into_inner);
    tuned.iter().find(|tuned| tuned.layer == layer).map(|tuned| tuned.choice)
}

/// Does `work` on this thread, and returns each layer that it computes with a choice of variants.
pub fn asked<T>(work: impl FnOnce() -> T) -> (T, Vec<Asked>) {
    ASKED.set(Some(Vec::new()));
    let result = work();
    let mut asked = ASKED.take().expect("only this function ends the notes");
    asked.retain(|one| one.variants.len() > 1);
    (result, asked)
}

/// Does `work` on this thread with this variant.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn forcing<T>(tuned: Tuned, work: impl FnOnce() -> T) -> T {
    let before = FORCED.replace(Some(tuned));
    let result = work();
    FORCED.set(before);
    result
}

/// Uses the variants in `found` from now on, in later runs too.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn keep(found: &[Tuned]) {
    let tuned = FASTEST.get_or_init(|| RwLock::new(verdicts::tuned()));
    let mut tuned = tuned.write().unwrap_or_else(PoisonError::into_inner);
    tuned.retain(|old| found.iter().all(|new| new.layer != old.layer));
    tuned.extend_from_slice(found);
    verdicts::keep_tuned(tuned.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIANTS: &[&str] = &["small", "large"];

    fn linear(rows: usize) -> Layer {
        Layer::Linear { rows, inputs: 8, outputs: 3, kind: 0 }
    }

    #[test]
    fn a_variant_is_forced_on_one_layer_only() {
        let chosen = |rows| choice(Grain::Fine, linear(rows), VARIANTS, 0);
        assert_eq!(forcing(Tuned { layer: linear(1), choice: 1 }, || [chosen(1), chosen(2)]), [1, 0]);
        assert_eq!(chosen(1), 0);
        assert_eq!(forcing(Tuned { layer: linear(1), choice: 2 }, || chosen(1)), 0, "there is none");
    }

    #[test]
    fn layers_with_a_choice_are_noted_once() {
        let ((), asked) = asked(|| {
            choice(Grain::Fine, linear(1), VARIANTS, 1);
            choice(Grain::Fine, linear(1), VARIANTS, 1);
            choice(Grain::Fine, linear(2), &VARIANTS[..1], 0);
        });
        assert_eq!(asked, [Asked { layer: linear(1), variants: VARIANTS, default: 1 }]);
    }
}
