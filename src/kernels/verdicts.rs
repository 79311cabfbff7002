//! What is found out about an adapter once and remembered: which variants of the kernels are right there, each checked at
//! its first use, and how fast it is. Some drivers take seconds to build a shader.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::check::{check, checks_of};
use crate::device::adapter;
use crate::files;
use crate::trust::{Checked, Variant, keep};

/// More than the file ever has, in bytes.
const LARGEST: u64 = 1 << 20;

/// Where verdicts are kept, if anywhere.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// What earlier runs have found.
#[derive(Default, Serialize, Deserialize)]
struct Verdicts {
    /// The program that found it: another one may have other kernels.
    program: String,
    /// By adapter and driver.
    adapters: BTreeMap<String, Found>,
}

/// What was found about an adapter.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    /// Variants that are right.
    checks: Vec<Checked>,
    /// How long the same work takes on the adapter and on the CPU, in seconds.
    seconds: Option<[f64; 2]>,
}

/// Keeps verdicts in the file `place` from now on. Without it they end with the process.
pub fn remember_in(place: PathBuf) {
    PLACE.get_or_init(|| place);
}

/// Checks `variant` on `device`, a GPU, if nobody has yet. Other threads that use it meanwhile do not wait.
pub fn settle(variant: Variant, device: &Device) {
    if !variant.settle() {
        return;
    }
    let checks = checks_of(variant);
    let mut known = Verdicts::read().take().checks;
    known.retain(|known| {
        known.kernel == variant.kernel() && checks.iter().any(|check| check.shape == known.shape)
    });
    if !known.is_empty() {
        return keep(&known);
    }
    let found = pollster::block_on(check(&checks, device));
    keep(&found);
    // A wrong one is checked again: a person may have updated the driver to mend it.
    if found.iter().all(|checked| checked.ok) {
        Verdicts::change(|here| here.checks.extend(found));
    }
}

/// How long the same work takes on the adapter and on the CPU, in seconds: what an earlier run has found, or `measure` finds.
pub fn seconds(measure: impl FnOnce() -> [f64; 2]) -> [f64; 2] {
    Verdicts::read().take().seconds.unwrap_or_else(|| {
        let seconds = measure();
        Verdicts::change(|here| here.seconds = Some(seconds));
        seconds
    })
}

impl Verdicts {
    /// Those of this program; none where there are no others.
    fn read() -> Self {
        let program = program();
        let bytes = PLACE.get().and_then(|place| files::read_limited(place, LARGEST).ok());
        let read: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.filter(|read| read.program == program).unwrap_or(Self { program, ..Self::default() })
    }

    /// What was found about the adapter in use.
    fn take(mut self) -> Found {
        self.adapters.remove(adapter()).unwrap_or_default()
    }

    /// Changes what is kept of the adapter in use.
    fn change(how: impl FnOnce(&mut Found)) {
        let mut verdicts = Self::read();
        how(verdicts.adapters.entry(adapter().into()).or_default());
        verdicts.write();
    }

    fn write(&self) {
        let Some(place) = PLACE.get() else { return };
        let folder = place.parent().map_or(Ok(()), std::fs::create_dir_all);
        let bytes = serde_json::to_vec_pretty(self).map_err(crate::Error::invalid);
        let written =
            bytes.and_then(|bytes| folder.map_err(crate::Error::invalid).and(files::save(place, &bytes)));
        if let Err(error) = written {
            tracing::debug!("verdicts on GPU kernels are not kept: {error}");
        }
    }
}

/// What tells one build of the program from another.
fn program() -> String {
    let about = std::env::current_exe().and_then(std::fs::metadata);
    let time = about.as_ref().ok().and_then(|about| about.modified().ok());
    let length = about.map_or(0, |about| about.len());
    format!("{} {length} {time:?}", env!("CARGO_PKG_VERSION"))
}
