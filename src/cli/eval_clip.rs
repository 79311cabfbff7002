//! `residua eval clip`: how well pictures fit their captions.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::options::DeviceArguments;
use super::output::Console;
use crate::checkpoint::{StateKind, WeightFile};
use crate::engine::clip_score::{captioned, clip_scores};
use crate::engine::judge::load_clip;
use crate::error::Result;

/// Mean CLIP score of pictures with captions: of captions.tsv (path, tab, caption), metadata.jsonl, or the recipes that sampled
/// PNGs carry.
#[derive(Args)]
pub struct EvalClip {
    /// The folder of pictures, and of folders with pictures.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Weights of CLIP (ViT), a .pt or .safetensors.
    #[arg(long, value_name = "PATH")]
    clip: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
}

impl EvalClip {
    /// Prints the mean, and each picture's score.
    pub fn run(&self, console: &Console) -> Result<()> {
        let pictures = captioned(&self.data)?;
        let device = self.device.open()?;
        let file = WeightFile::open(&self.clip, StateKind::Auto)?;
        let clip = load_clip(&file, &device, &mut console.task("loading"))?;
        let scores = pollster::block_on(clip_scores(&clip, &pictures, &mut console.task("scoring")))?;
        let mean = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / scores.len() as f64;
        let each = scores.iter().zip(&pictures);
        let lines = each.clone().map(|(score, one)| format!("{score:.4}  {}\n", one.path.display()));
        let text = format!("{}CLIP score {mean:.4} over {} pictures", lines.collect::<String>(), scores.len());
        let each = each.map(|(score, one)| json!({"file": one.path, "caption": one.caption, "score": score}));
        console.result(json!({"clip_score": mean, "pictures": each.collect::<Vec<_>>()}), &text)
    }
}
