//! `residua eval clip`: how well pictures match their captions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::options::DeviceArguments;
use super::super::output::Console;
use super::parts::{PartArguments, Setting};
use super::{PicturesArguments, measured_on};
use residua_core::config::StateKind;
use residua_core::error::Result;
use residua_engine::eval::clip::{ClipScores, Scored, clip_scores};
use residua_engine::eval::{Pictures, Tally};
use residua_engine::judge::load_clip;
use residua_engine::models::id_of_file;
use residua_kernels::device::kind;
use residua_protocol::ModelId;
use residua_train::data::Split;
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
    part: PartArguments,
    #[command(flatten)]
    device: DeviceArguments,
}

/// What is measured.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    clip: ModelId,
    split: Split,
    device: String,
    /// The fingerprint of the pictures, if measured in parts.
    pictures: Option<String>,
}

impl ClipScore {
    /// Prints the mean, and each picture's score.
    pub fn run(&self, console: &Console) -> Result<()> {
        let own = self.part.open::<Measurement>(console)?;
        let pictures = Pictures::open(&self.pictures.selection(), &[], None)?;
        let device = self.device.open()?;
        let file = WeightFile::open(&self.clip, StateKind::Auto)?;
        let clip = load_clip(&file, &device, &mut console.task("loading"))?;
        let measurement = Measurement {
            clip: id_of_file(&file)?,
            split: self.pictures.split,
            device: kind(&device).into(),
            pictures: own.of_parts(|| pictures.fingerprint(&self.pictures.data)),
        };
        let (mut pictures, mut task) = (pictures.only(own.part), console.task("scoring"));
        let scores = pollster::block_on(clip_scores(&clip, &mut pictures, &mut task))?;
        own.finish(&measurement, scores, console)
    }
}

impl Setting for Measurement {
    const COMMAND: &'static str = "clip";
    type Sums = Tally<BTreeMap<u32, Scored>>;

    fn result(&self, sums: Self::Sums) -> Result<(Value, String)> {
        let scores = ClipScores::of(sums)?;
        let each = scores.pictures.iter();
        let each = each.map(|one| format!("{:.4}  {}\n", one.score, one.path.display()));
        let text = format!(
            "{}CLIP score  {:.4}, {}",
            each.collect::<String>(),
            scores.clip_score,
            measured_on(scores.pictures.len(), scores.left_out.len(), self.split)
        );
        let mut value = json!(scores);
        value["clip"] = json!(self.clip);
        value["split"] = json!(self.split);
        Ok((value, text))
    }
}
