//! `residua verify`: compares our outputs with the published implementation's.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::options::DeviceArguments;
use super::output::Console;
use crate::engine::verify::{Case, cases, verify};
use crate::error::{Error, Result};

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
