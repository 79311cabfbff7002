//! Which kernel variants give correct results on the adapter in use. Each is checked when it is first used, because
//! some drivers take seconds to build a shader, and the result is remembered for later runs.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod page;

use burn::tensor::Device;

#[cfg(not(target_family = "wasm"))]
pub use native::{keep_tuned, remember_in, seconds, settle, tuned};
#[cfg(not(target_family = "wasm"))]
use native::{recall, remember};
#[cfg(target_family = "wasm")]
pub use page::{confirm, restore, settle, tuned};
#[cfg(target_family = "wasm")]
use page::{recall, remember};

use super::check::{check, checks_of};
use residua_core::trust::{Variant, keep};

/// Finds out whether `variant` is correct on `device`, a GPU: from an earlier run, or else by a check.
async fn verify(variant: Variant, device: &Device) {
    let checks = checks_of(variant);
    let mut known = recall().await;
    known.retain(|known| checks.iter().any(|check| check.made(known)));
    if !known.is_empty() && known.iter().all(|known| known.ok) {
        return keep(&known);
    }
    let found = check(&checks, device).await;
    keep(&found);
    // Failures are not stored here, so that they are checked again: a driver update may fix them.
    if found.iter().all(|checked| checked.ok) {
        remember(found).await;
    }
}
