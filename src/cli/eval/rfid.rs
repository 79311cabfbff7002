//! `residua eval rfid`: Fréchet distance between pictures and their reconstructions.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::options::ModelArguments;
use super::super::output::Console;
use super::parts::{PartArguments, Setting};
use super::{PicturesArguments, protocol_lines};
use residua_core::error::Result;
use residua_engine::Stage1;
use residua_engine::eval::sets::{Observer, Protocol, SeenByDepth};
use residua_engine::eval::{Pictures, Tally};
use residua_kernels::device::kind;
use residua_protocol::ModelId;
use residua_train::data::Split;

/// Stage 1: Fréchet inception distance between pictures and their reconstructions.
#[derive(Args)]
pub struct Rfid {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// Inception weights: the file pt_inception-2015-12-05-6726825d.pth.
    #[arg(long, value_name = "PATH")]
    inception: PathBuf,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// What is measured.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    /// SHA-256 of Inception's weights.
    inception: String,
    model: ModelId,
    resolution: usize,
    split: Split,
    device: String,
    /// The fingerprint of the pictures, if measured in parts.
    pictures: Option<String>,
}

impl Rfid {
    /// Prints the distance at each depth and how it was computed.
    pub fn run(&self, console: &Console) -> Result<()> {
        let own = self.part.open::<Measurement>(console)?;
        let device = self.model.device.open()?;
        let observer = Observer::open(&self.inception, &device)?;
        let stage1 = Stage1::load(&self.model.rqvae_options()?, &device, &mut console.task("loading"))?;
        let resolution = stage1.model.config.ddconfig.resolution;
        let pictures = Pictures::open(&self.pictures.selection(), &[], Some(resolution))?;
        let measurement = Measurement {
            inception: observer.sha256.clone(),
            model: stage1.id()?,
            resolution,
            split: self.pictures.split,
            device: kind(&device).into(),
            pictures: own.of_parts(|| pictures.fingerprint(&self.pictures.data)),
        };
        let (mut pictures, mut task) = (pictures.only(own.part), console.task("looking"));
        let looked = observer.look_by_depth(&stage1.model, &mut pictures, &mut task);
        own.finish(&measurement, pollster::block_on(looked)?, console)
    }
}

impl Setting for Measurement {
    const COMMAND: &'static str = "rfid";
    type Sums = Tally<SeenByDepth>;

    fn result(&self, sums: Self::Sums) -> Result<(Value, String)> {
        let Tally { pictures, left_out, sums: SeenByDepth { originals, reconstructions } } = sums;
        let originals = originals.statistics()?;
        let by_depth = reconstructions.into_iter().map(|seen| originals.distance(&seen.statistics()?));
        let by_depth = by_depth.collect::<Result<Vec<f64>>>()?;
        let protocol = Protocol::new(&self.inception, pictures, Some(pictures), Some(self.resolution));
        let value = json!({
            "rfid": by_depth.last(), "by_depth": by_depth, "protocol": protocol, "left_out": left_out, "model": self.model,
            "split": self.split,
        });
        let line = |(depth, distance): (usize, &f64)| {
            format!("rFID        {distance:.4}, codes per cell: {}\n", depth + 1)
        };
        let lines: String = by_depth.iter().enumerate().map(line).collect();
        Ok((value, format!("{lines}{}", protocol_lines(&protocol))))
    }
}
