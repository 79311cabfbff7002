//! `residua verify`: compares our outputs with the published implementation's.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::options::DeviceArguments;
use super::output::Console;
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_engine::verify::{Case, cases, verify};
use residua_model::Checkpoint;
use residua_weights::folder::config_in;

/// Compare the model's outputs with those in a reference folder (config.yaml, model.pt, golden.safetensors).
#[derive(Args)]
pub struct Verify {
    /// Reference folder, or a folder of such folders.
    folder: PathBuf,
    /// RQ-VAE to use, if it is not where the transformer's configuration says.
    #[arg(long, value_name = "PATH")]
    rqvae: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
}

impl Verify {
    /// Prints each comparison; fails if any of them fails.
    pub fn run(&self, console: &Console) -> Result<()> {
        let folders = cases(&self.folder)?;
        self.check(&folders)?;
        let device = self.device.open()?;
        let mut done = Vec::new();
        for folder in &folders {
            let mut task = console.task("verifying");
            task.check()?;
            done.push(pollster::block_on(verify(folder, self.rqvae.as_deref(), &device, &mut task))?);
        }
        let failed = done.iter().filter(|case| !case.ok()).count();
        let text: Vec<String> = done.iter().map(text).collect();
        console.result(json!({"ok": failed == 0, "cases": done}), &text.join("\n"))?;
        match failed {
            0 => Ok(()),
            failed => Err(Error::invalid(format!("{failed} of {} cases FAILED", done.len()))),
        }
    }

    /// Refuses an RQ-VAE that no case needs.
    fn check(&self, folders: &[PathBuf]) -> Result<()> {
        if self.rqvae.is_none() {
            return Ok(());
        }
        for folder in folders {
            if has_transformer(folder)? {
                return Ok(());
            }
        }
        Err(Error::usage(format!(
            "--rqvae: expected the case of a transformer in {}, found none: leave it out",
            self.folder.display()
        )))
    }
}

/// Whether the case in `folder` is that of a transformer.
fn has_transformer(folder: &Path) -> Result<bool> {
    if config_in(folder)?.is_none() {
        return Ok(false);
    }
    let checkpoint = Checkpoint::open(&folder.display().to_string(), None, StateKind::Auto)?;
    Ok(checkpoint.rqtransformer().is_ok())
}

fn text(case: &Case) -> String {
    let mut lines = vec![case.folder.display().to_string()];
    for comparison in &case.comparisons {
        let verdict = if comparison.ok { "ok" } else { "FAILED" };
        let ties = if comparison.ties > 0 { format!("  ({} ties)", comparison.ties) } else { String::new() };
        lines.push(format!(
            "  {:<24} {:>10.3e}  of {:>9.3e}  {verdict}{ties}",
            comparison.name, comparison.difference, comparison.tolerance
        ));
    }
    if case.comparisons.is_empty() {
        lines.push("  nothing to compare  FAILED".into());
    }
    lines.join("\n")
}
