//! `residua eval rfid`: Fréchet distance between pictures and their reconstructions.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::options::ModelArguments;
use super::super::output::Console;
use super::{PicturesArguments, protocol_lines};
use residua_core::error::Result;
use residua_engine::Stage1;
use residua_engine::eval::Pictures;
use residua_engine::eval::sets::{Judge, Protocol};

/// Stage 1: Fréchet inception distance between pictures and their reconstructions.
#[derive(Args)]
pub struct Rfid {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// Inception weights: the file pt_inception-2015-12-05-6726825d.pth.
    #[arg(long, value_name = "PATH")]
    inception: PathBuf,
    #[command(flatten)]
    model: ModelArguments,
}

impl Rfid {
    /// Prints the distance at each depth and how it was computed.
    pub fn run(&self, console: &Console) -> Result<()> {
        let device = self.model.device.open()?;
        let judge = Judge::open(&self.inception, &device)?;
        let stage1 = Stage1::load(&self.model.rqvae_options()?, &device, &mut console.task("loading"))?;
        let resolution = Some(stage1.model.config.ddconfig.resolution);
        let mut pictures = Pictures::open(&self.pictures.selection(), &[], resolution)?;
        let mut task = console.task("looking");
        let looked = judge.look_by_depth(&stage1.model, &mut pictures, &mut task);
        let (originals, reconstructions) = pollster::block_on(looked)?;
        let (count, originals) = (originals.count(), originals.statistics()?);
        let by_depth = reconstructions.into_iter().map(|seen| originals.distance(&seen.statistics()?));
        let by_depth = by_depth.collect::<Result<Vec<f64>>>()?;
        let protocol = Protocol::new(&judge, count, Some(count), resolution);
        let value = json!({
            "rfid": by_depth.last(), "by_depth": by_depth, "protocol": protocol, "left_out": pictures.left_out, "model": stage1.id()?,
            "split": self.pictures.split,
        });
        let line = |(depth, distance): (usize, &f64)| {
            format!("rFID        {distance:.4}, codes per cell: {}\n", depth + 1)
        };
        let lines: String = by_depth.iter().enumerate().map(line).collect();
        console.result(value, &format!("{lines}{}", protocol_lines(&protocol)))
    }
}
