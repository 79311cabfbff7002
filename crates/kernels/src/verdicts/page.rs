//! Verdicts in a browser: nothing can wait in the middle of a computation, so variants are used at once, and checked
//! before a result leaves the device. The browser stores the verdicts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;

use super::verify;
use crate::device::adapter;
use residua_core::host;
use residua_core::trust::{Checked, Variant, checked};

/// Variants in use that have not been checked yet.
static USED: Mutex<Vec<Variant>> = Mutex::new(Vec::new());

fn used() -> MutexGuard<'static, Vec<Variant>> {
    // The list is valid after every step, so a poisoned lock is safe to use.
    USED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that `variant` is in use, unless it is known already.
pub fn settle(variant: Variant, _: &Device) {
    if variant.settle() {
        used().push(variant);
    }
}

/// Checks the variants in use on `device`, the GPU. If one is wrong, this never returns: nothing can replace the variant
/// here, so the host ends this program and starts another one on the CPU.
pub async fn confirm(device: &Device) {
    loop {
        let next = used().first().copied();
        let Some(variant) = next else { return };
        verify(variant, device).await;
        if let Some(Checked { kernel, shape, .. }) = checked().into_iter().find(|checked| !checked.ok) {
            let why = format!(
                "this GPU computes a wrong result ({kernel:?}, {shape}): update its driver, or use the CPU"
            );
            host::lost(&why, false);
            std::future::pending::<()>().await;
        }
        used().retain(|other| *other != variant);
    }
}

/// Checks that passed in earlier visits.
pub(super) async fn recall() -> Vec<Checked> {
    let text = host::recall(adapter()).await;
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Stores checks that passed.
pub(super) async fn remember(found: Vec<Checked>) {
    let all = [recall().await, found].concat();
    if let Ok(text) = serde_json::to_string(&all) {
        host::remember(adapter(), &text).await;
    }
}
