//! `residua convert`: published checkpoints to safetensors.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::WeightsChoice;
use super::output::{Console, create_folder};
use crate::checkpoint::convert::convert;
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::text::size;

/// Convert a published folder, .pt or .tar.gz to safetensors with its configuration inside.
#[derive(Args)]
pub struct Convert {
    /// A folder with config.yaml and weights, a .pt beside config.yaml, or a .tar.gz of such.
    input: PathBuf,
    /// The .safetensors to write; a folder where the input has both stages.
    output: PathBuf,
    /// f16 halves the size; biases and gains stay f32.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Precision,
    /// Trained weights, or their moving average where the checkpoint has one that its trainer kept up.
    #[arg(long, value_enum, default_value = "auto")]
    weights: WeightsChoice,
}

/// The type that weights are written in.
#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    F16,
}

impl Convert {
    /// Converts each model of the input.
    pub fn run(&self, console: &Console) -> Result<()> {
        let checkpoints = Checkpoint::open_all(&self.input, None, self.weights.into())?;
        let several = checkpoints.len() > 1;
        if several {
            create_folder(&self.output)?;
        }
        let mut files = Vec::new();
        for checkpoint in &checkpoints {
            let path = match several {
                true => self.output.join(file_name(checkpoint)),
                false => self.output.clone(),
            };
            if files.contains(&path) {
                return Err(Error::invalid(format!(
                    "{} has several models of one stage; convert them one by one",
                    self.input.display()
                )));
            }
            self.convert(checkpoint, &path, console)?;
            files.push(path);
        }
        console.result(json!({"files": files}), &format!("{} converted", files.len()))
    }

    fn convert(&self, checkpoint: &Checkpoint, path: &Path, console: &Console) -> Result<()> {
        let dtype = match self.dtype {
            Precision::F32 => Dtype::F32,
            Precision::F16 => Dtype::F16,
        };
        checkpoint.warn_of_average()?;
        let mut task = console.task("converting");
        let (mut done, total) = (0, checkpoint.parameters()?.len());
        convert(checkpoint, path, dtype, |_| {
            task.check()?;
            done += 1;
            task.report(done, total);
            Ok(())
        })?;
        let bytes = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        console.note(&format!("wrote {} ({})", path.display(), size(bytes)));
        Ok(())
    }
}

fn file_name(checkpoint: &Checkpoint) -> &'static str {
    match checkpoint.config.model {
        ModelConfig::RqVae(_) => "stage1.safetensors",
        ModelConfig::RqTransformer(_) => "stage2.safetensors",
    }
}
