//! `residua eval likelihood`: the likelihood of a folder's pictures under a stage 2.

use clap::Args;
use serde_json::json;

use super::super::options::TransformerArguments;
use super::super::output::Console;
use super::{PicturesArguments, measured_on};
use residua_core::config::{Architecture, ConditionKind};
use residua_core::error::{Error, Result};
use residua_engine::Stage2;
use residua_engine::eval::likelihood::{Depth, Measured, measure};
use residua_engine::eval::{Pictures, context};
use residua_train::conditions::check_labels;

/// Stage 2: negative log-likelihood of the pictures' nearest codes, given their classes or captions. For a
/// contextual model: of masked cells, given all others, by the number of masked cells.
#[derive(Args)]
pub struct Likelihood {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// Measure pictures without a class or caption, too, even if the model takes one: as the first class, or
    /// with an empty caption.
    #[arg(long)]
    unlabelled: bool,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Likelihood {
    /// Prints the metrics.
    pub fn run(&self, console: &Console) -> Result<()> {
        let device = self.model.model.device.open()?;
        let stage2 = Stage2::load(&self.model.options(), &device, &mut console.task("loading"))?;
        let resolution = stage2.stage1.model.config.ddconfig.resolution;
        let (classes, condition) = (&stage2.model.config.classes, stage2.model.config.condition());
        if self.unlabelled && condition == ConditionKind::Unconditional {
            return Err(Error::usage(
                "--unlabelled does nothing, as this model takes no class or caption: leave it out",
            ));
        }
        let mut pictures = Pictures::open(&self.pictures.selection(), classes, Some(resolution))?;
        if !self.unlabelled {
            check_labels(&self.pictures.data, pictures.items(), condition)?;
        }
        let mut task = console.task("measuring");
        let (mut value, text) = match stage2.model.config.kind {
            Architecture::Autoregressive => {
                let measured = pollster::block_on(measure(&stage2, &mut pictures, &mut task))?;
                (json!(measured), self.text(&measured))
            }
            Architecture::Contextual => {
                let measured = pollster::block_on(context::measure(&stage2, &mut pictures, &mut task))?;
                (json!(measured), super::context::text(&measured, self.pictures.split))
            }
        };
        value["model"] = json!(stage2.id()?);
        value["rqvae"] = json!(stage2.stage1.id()?);
        value["split"] = json!(self.pictures.split);
        console.result(value, &text)
    }

    fn text(&self, measured: &Measured) -> String {
        let mut lines = vec![
            measured_on(measured.pictures, measured.left_out.len(), self.pictures.split),
            format!("nats per code  {:.4}", measured.nats_per_code),
            format!("below uniform  {:.4}", measured.nats_below_uniform),
            format!(
                "bits           {:.1} per image, {:.4} per pixel; uniform {:.1} per image",
                measured.bits_per_image, measured.bits_per_pixel, measured.uniform_bits_per_image
            ),
            String::new(),
            "depth nats per code   uniform     below       bits".into(),
        ];
        lines.extend(measured.depths.iter().map(line));
        lines.join("\n")
    }
}

fn line(depth: &Depth) -> String {
    format!(
        "{:<5} {:>13.4} {:>9.4} {:>9.4} {:>10.1}",
        depth.depth,
        depth.nats_per_code,
        depth.uniform_nats_per_code,
        depth.nats_below_uniform,
        depth.bits_per_image
    )
}
