//! `residua eval clip`: how well pictures match their captions.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::options::DeviceArguments;
use super::super::output::Console;
use super::{PicturesArguments, measured_on};
use residua_core::config::StateKind;
use residua_core::error::Result;
use residua_engine::eval::Pictures;
use residua_engine::eval::clip::clip_scores;
use residua_engine::judge::load_clip;
use residua_engine::models::id_of_file;
use residua_weights::WeightFile;

/// Mean CLIP score of pictures with captions.
///
/// Captions come from captions.tsv (path, tab, caption), metadata.jsonl, metadata.csv, the published
/// train_list.txt and val_list.txt, a text file next to each picture, or the recipes in sampled PNGs.
#[derive(Args)]
pub struct ClipScore {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// CLIP (ViT) weights, a .pt or .safetensors file.
    #[arg(long, value_name = "PATH")]
    clip: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
}

impl ClipScore {
    /// Prints the mean, and each picture's score.
    pub fn run(&self, console: &Console) -> Result<()> {
        let mut pictures = Pictures::open(&self.pictures.selection(), &[], None)?;
        let device = self.device.open()?;
        let file = WeightFile::open(&self.clip, StateKind::Auto)?;
        let clip = load_clip(&file, &device, &mut console.task("loading"))?;
        let scores = pollster::block_on(clip_scores(&clip, &mut pictures, &mut console.task("scoring")))?;
        let each = scores.pictures.iter();
        let each = each.map(|one| format!("{:.4}  {}\n", one.score, one.path.display()));
        let text = format!(
            "{}CLIP score  {:.4}, {}",
            each.collect::<String>(),
            scores.clip_score,
            measured_on(scores.pictures.len(), scores.left_out.len(), self.pictures.split)
        );
        let mut value = json!(scores);
        value["clip"] = json!(id_of_file(&file)?);
        value["split"] = json!(self.pictures.split);
        console.result(value, &text)
    }
}
