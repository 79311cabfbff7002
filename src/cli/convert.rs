//! `residua convert`: published checkpoints to safetensors.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::output::{Console, shown};
use super::target::{self, ForceArguments, Target};
use super::words::{DTYPES, WEIGHTS, one_of};
use residua_core::config::{ModelConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_model::Checkpoint;
use residua_model::checkpoint::convert::convert;
use residua_weights::Dtype;

/// Convert a published folder, .pt or .tar.gz to a safetensors file that includes the configuration.
#[derive(Args)]
pub struct Convert {
    /// Checkpoint: a bundled model, a folder with config.yaml and weights, a .pt next to config.yaml, or a
    /// .tar.gz of these.
    input: String,
    /// .safetensors file to write, - for standard output; a folder if the input has both stages.
    output: PathBuf,
    /// Type of the written weights: f16 halves the size, but biases and gains stay f32.
    #[arg(long, value_parser = one_of(DTYPES), default_value = "f32")]
    dtype: Dtype,
    /// Weights to convert: the trained ones, or their moving average (EMA), which helps only if training
    /// updated it.
    #[arg(long, value_parser = one_of(WEIGHTS), default_value = "auto")]
    weights: StateKind,
    #[command(flatten)]
    force: ForceArguments,
}

impl Convert {
    /// Converts each model of the input.
    pub fn run(&self, console: &Console) -> Result<()> {
        let checkpoints = Checkpoint::open_all(&self.input, None, self.weights)?;
        let targets = self.targets(&checkpoints, console)?;
        let mut files = Vec::new();
        for (checkpoint, target) in checkpoints.iter().zip(targets) {
            files.push(shown(&self.convert(checkpoint, &target, console)?));
        }
        console.result(json!({"files": files}), &format!("{} converted", files.len()))
    }

    /// Where each model goes.
    fn targets(&self, checkpoints: &[Checkpoint], console: &Console) -> Result<Vec<Target>> {
        let given = |path: &Path| Target::given(path, "safetensors", self.force, console);
        if let [_] = checkpoints {
            return Ok(vec![given(&self.output)?]);
        }
        let names: Vec<&str> = checkpoints.iter().map(file_name).collect();
        if names.iter().enumerate().any(|(i, name)| names[..i].contains(name)) {
            return Err(Error::invalid(format!(
                "{} has several models of one stage; convert them one by one",
                self.input
            )));
        }
        target::folder(&self.output)?;
        names.iter().map(|name| given(&self.output.join(name))).collect()
    }

    fn convert(&self, checkpoint: &Checkpoint, target: &Target, console: &Console) -> Result<PathBuf> {
        checkpoint.warn_of_average()?;
        let mut task = console.task("converting");
        let (mut done, total) = (0, checkpoint.parameters()?.len());
        let path = target.write(|out, name| {
            convert(checkpoint, out, name, self.dtype, |_| {
                task.check()?;
                done += 1;
                task.report(done, total);
                Ok(())
            })
        })?;
        console.wrote(&path);
        Ok(path)
    }
}

fn file_name(checkpoint: &Checkpoint) -> &'static str {
    match checkpoint.config.model {
        ModelConfig::RqVae(_) => "stage1.safetensors",
        ModelConfig::RqTransformer(_) => "stage2.safetensors",
    }
}
