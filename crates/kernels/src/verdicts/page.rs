//! Verdicts in a browser: nothing can wait in the middle of a computation, so variants are used at once, and checked
//! before a result leaves the device. The browser stores the verdicts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;

use super::verify;
use crate::check::{Check, checks, checks_of};
use crate::device::adapter;
use crate::tuned::Tuned;
use residua_core::host;
use residua_core::trust::{Checked, Variant, checked, keep};

/// Variants in use that have not been checked yet.
static USED: Mutex<Vec<Variant>> = Mutex::new(Vec::new());

fn used() -> MutexGuard<'static, Vec<Variant>> {
    // The list is valid after every step, so a poisoned lock is safe to use.
    USED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Switches off the variants that an earlier program or visit has found to be wrong.
pub async fn restore() {
    let mut wrong = recall().await;
    wrong.retain(|known| !known.ok);
    if wrong.is_empty() {
        return;
    }
    for check in checks() {
        if let Some(known) = wrong.iter().find(|&known| check.made(known)) {
            check.variant.switch(false);
            keep(std::slice::from_ref(known));
            tracing::warn!(
                "the GPU kernel {:?} is off, because it gave wrong results on this GPU ({}): update its driver",
                known.kernel,
                known.shape
            );
        }
    }
}

/// A page measures no variants.
pub fn tuned() -> Vec<Tuned> {
    Vec::new()
}

/// Notes that `variant` is in use, unless it is known already.
pub fn settle(variant: Variant, _: &Device) {
    if variant.settle() {
        used().push(variant);
    }
}

/// Checks the variants in use on `device`, the GPU. If one is wrong, this never returns: the results so far cannot be
/// corrected, so the host ends this program and starts another one.
pub async fn confirm(device: &Device) {
    let mut wrong = Vec::new();
    loop {
        let next = used().first().copied();
        let Some(variant) = next else { break };
        verify(variant, device).await;
        if !variant.is_on() {
            wrong.push(variant);
        }
        used().retain(|other| *other != variant);
    }
    if !wrong.is_empty() {
        give_up(&wrong, device).await;
        std::future::pending::<()>().await;
    }
}

/// Has the host start another program: on the GPU without the `wrong` variants, if what replaces them is right and the
/// browser has stored the verdicts, or else on the CPU.
async fn give_up(wrong: &[Variant], device: &Device) {
    let checks: Vec<Check> = wrong.iter().flat_map(|&variant| checks_of(variant)).collect();
    let is_wrong = |found: &Checked| !found.ok && checks.iter().any(|check| check.made(found));
    let failed: Vec<Checked> = checked().into_iter().filter(is_wrong).collect();
    let cases: Vec<String> =
        failed.iter().map(|Checked { kernel, shape, .. }| format!("{kernel:?}, {shape}")).collect();
    let goes_on = pass(&checks, device).await && {
        remember(failed.clone()).await;
        let known = recall().await;
        known.iter().filter(|&known| is_wrong(known)).count() >= failed.len()
    };
    let why = format!("this GPU computes a wrong result ({}): update its driver", cases.join("; "));
    host::lost(&why, goes_on);
}

/// Whether all `checks` pass as the kernels are switched now.
async fn pass(checks: &[Check], device: &Device) -> bool {
    for check in checks {
        if !check.run(device).await.ok {
            return false;
        }
    }
    true
}

/// Checks from earlier visits.
pub(super) async fn recall() -> Vec<Checked> {
    let text = host::recall(adapter()).await;
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Stores checks.
pub(super) async fn remember(found: Vec<Checked>) {
    let mut all = [recall().await, found].concat();
    // JSON has no infinity.
    all.iter_mut().for_each(|checked| checked.difference = checked.difference.min(f32::MAX));
    if let Ok(text) = serde_json::to_string(&all) {
        host::remember(adapter(), &text).await;
    }
}
