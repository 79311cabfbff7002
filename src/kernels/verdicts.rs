//! When kernels are checked: each at its first use, unless an earlier run of this program has found it right on the same
//! adapter. Some drivers take seconds to build a shader.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::check::{CHECKS, check};
use crate::device::adapter;
use crate::files;
use crate::trust::{Checked, GpuKernel, keep};

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
    adapters: BTreeMap<String, Vec<Checked>>,
}

/// Keeps verdicts in the file `place` from now on. Without it they end with the process.
pub fn remember_in(place: PathBuf) {
    PLACE.get_or_init(|| place);
}

/// Checks `kernel` on `device`, a GPU, if that was not done yet. Others who use it meanwhile do not wait.
pub fn settle(kernel: GpuKernel, device: &Device) {
    if !kernel.settle() {
        return;
    }
    let known = Verdicts::read().of(kernel);
    if !known.is_empty() {
        return keep(&known);
    }
    let checks: Vec<_> = CHECKS.iter().filter(|check| check.kernel == kernel).collect();
    let found = pollster::block_on(check(&checks, device));
    keep(&found);
    // A wrong one is checked again: a person may have updated the driver to mend it.
    if found.iter().all(|checked| checked.ok) {
        Verdicts::read().with(found).write();
    }
}

impl Verdicts {
    /// Those of this program; none where there are no others.
    fn read() -> Self {
        let program = program();
        let bytes = PLACE.get().and_then(|place| files::read_limited(place, LARGEST).ok());
        let read: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.filter(|read| read.program == program).unwrap_or(Self { program, ..Self::default() })
    }

    fn of(&self, kernel: GpuKernel) -> Vec<Checked> {
        let here = self.adapters.get(adapter()).into_iter().flatten();
        here.filter(|checked| checked.kernel == kernel).cloned().collect()
    }

    fn with(mut self, found: Vec<Checked>) -> Self {
        self.adapters.entry(adapter().into()).or_default().extend(found);
        self
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
