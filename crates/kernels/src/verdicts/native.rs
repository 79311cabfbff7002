//! Verdicts of native builds: a computation waits for them, and a file stores them, together with how fast the
//! adapter is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::verify;
use crate::device::adapter;
use crate::tuned::Tuned;
use residua_core::files;
use residua_core::trust::{Checked, Variant};

/// Upper limit on the size of the file, in bytes.
const LARGEST: u64 = 1 << 20;

/// The file that stores the verdicts, if any.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// Verdicts from earlier runs.
#[derive(Default, Serialize, Deserialize)]
struct Verdicts {
    /// The build of the program that made them: another build may have other kernels.
    program: String,
    /// Keyed by adapter and driver.
    adapters: BTreeMap<String, Found>,
}

/// Results for one adapter.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    /// Checks that passed.
    checks: Vec<Checked>,
    /// Seconds that the same work takes on the adapter and on the CPU.
    seconds: Option<[f64; 2]>,
    /// The fastest variants.
    tuned: Vec<Tuned>,
}

/// Stores verdicts in the file `place` from now on. Otherwise they are lost when the process ends.
pub fn remember_in(place: PathBuf) {
    PLACE.get_or_init(|| place);
}

/// Checks `variant` on `device`, a GPU, unless it has been checked already. Other threads that use it
/// meanwhile do not wait.
pub fn settle(variant: Variant, device: &Device) {
    if variant.settle() {
        pollster::block_on(verify(variant, device));
    }
}

/// Seconds that the same work takes on the adapter and on the CPU: from an earlier run, or from `measure`.
pub fn seconds(measure: impl FnOnce() -> [f64; 2]) -> [f64; 2] {
    Verdicts::read().take().seconds.unwrap_or_else(|| {
        let seconds = measure();
        Verdicts::change(|here| here.seconds = Some(seconds));
        seconds
    })
}

/// The fastest variants on the adapter in use.
pub fn tuned() -> Vec<Tuned> {
    Verdicts::read().take().tuned
}

/// Stores the fastest variants on the adapter in use, in place of those stored before.
pub fn keep_tuned(tuned: Vec<Tuned>) {
    Verdicts::change(|here| here.tuned = tuned);
}

/// Checks that passed in earlier runs.
pub(super) async fn recall() -> Vec<Checked> {
    Verdicts::read().take().checks
}

/// Stores checks that passed.
pub(super) async fn remember(found: Vec<Checked>) {
    Verdicts::change(|here| here.checks.extend(found));
}

impl Verdicts {
    /// Reads the stored verdicts; empty if there are none for this build of the program.
    fn read() -> Self {
        let program = program();
        let bytes = PLACE.get().and_then(|place| files::read_limited(place, LARGEST).ok());
        let read: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.filter(|read| read.program == program).unwrap_or(Self { program, ..Self::default() })
    }

    /// Results for the adapter in use.
    fn take(mut self) -> Found {
        self.adapters.remove(adapter()).unwrap_or_default()
    }

    /// Changes and saves the results for the adapter in use.
    fn change(how: impl FnOnce(&mut Found)) {
        let mut verdicts = Self::read();
        how(verdicts.adapters.entry(adapter().into()).or_default());
        verdicts.write();
    }

    fn write(&self) {
        let Some(place) = PLACE.get() else { return };
        let folder = place.parent().map_or(Ok(()), std::fs::create_dir_all);
        let bytes = serde_json::to_vec_pretty(self).map_err(residua_core::Error::invalid);
        let written = bytes
            .and_then(|bytes| folder.map_err(residua_core::Error::invalid).and(files::save(place, &bytes)));
        if let Err(error) = written {
            tracing::debug!("could not save the verdicts on GPU kernels: {error}");
        }
    }
}

/// Identifies a build of the program.
fn program() -> String {
    let about = std::env::current_exe().and_then(std::fs::metadata);
    let time = about.as_ref().ok().and_then(|about| about.modified().ok());
    let length = about.map_or(0, |about| about.len());
    format!("{} {length} {time:?}", env!("CARGO_PKG_VERSION"))
}
