//! What all ranks of a run must have in common.

use std::path::Path;

use burn::tensor::Device;

use super::{STDIN, TrainOptions};
use residua_core::config::Config;
use residua_core::error::{Error, Result};
use residua_core::ranks::{World, agree};
use residua_kernels::device::kind;
use residua_train::record::Record;

/// Refuses a configuration from standard input for several ranks, as only one of them gets it.
///
/// # Errors
/// [`Error::Usage`].
pub fn check_source(options: &TrainOptions, world: &World) -> Result<()> {
    if options.config == Path::new(STDIN) && !world.is_alone() {
        return Err(Error::usage(
            "config: expected a file that all ranks can read, found -, standard input: save the configuration to a file",
        ));
    }
    Ok(())
}

/// Refuses ranks that would take other steps: `config` and `record` determine these, and `settings`, as text.
///
/// # Errors
/// [`Error::Usage`], on all ranks.
pub fn check_alike(
    world: &World,
    config: &Config,
    record: &Record,
    settings: String,
    device: &Device,
) -> Result<()> {
    agree(
        world,
        &[
            ("configuration", config.document.to_string()),
            ("pictures", record.data.clone()),
            ("RQ-VAE", record.stage1.clone().unwrap_or_default()),
            ("LPIPS weights", record.lpips.clone().unwrap_or_default().join(" ")),
            ("options and steps done", settings),
            ("kind of device", kind(device).into()),
        ],
    )
}
