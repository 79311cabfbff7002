//! `residua eval reconstruction`: how well the model reconstructs a folder.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::options::ModelArguments;
use super::super::output::Console;
use super::parts::{PartArguments, Setting};
use super::{PicturesArguments, measured_on};
use residua_core::config::StateKind;
use residua_core::error::Result;
use residua_engine::Stage1;
use residua_engine::eval::reconstruction::{Depth, Measured, Sums, measure};
use residua_engine::eval::{Pictures, Sizes, Tally};
use residua_engine::models::id_of_file;
use residua_judges::Lpips;
use residua_kernels::device::kind;
use residua_protocol::ModelId;
use residua_train::data::Split;
use residua_weights::WeightFile;

/// Stage 1: PSNR, SSIM, MSE, codebook usage, bits, and rate and distortion by depth.
#[derive(Args)]
pub struct Reconstruction {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// Also compute LPIPS: one weight file with both network and layers, or `--lpips` twice, with
    /// torchvision's vgg16 and the lpips package's vgg.pth.
    #[arg(long, value_name = "PATH")]
    lpips: Vec<PathBuf>,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// What is measured.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    model: ModelId,
    sizes: Sizes,
    split: Split,
    device: String,
    /// The weights of LPIPS, if measured in parts.
    lpips: Option<Vec<ModelId>>,
    /// The fingerprint of the pictures, if measured in parts.
    pictures: Option<String>,
}

impl Reconstruction {
    /// Prints the metrics.
    pub fn run(&self, console: &Console) -> Result<()> {
        let own = self.part.open::<Measurement>(console)?;
        let device = self.model.device.open()?;
        let stage1 = Stage1::load(&self.model.rqvae_options()?, &device, &mut console.task("loading"))?;
        let lpips = match self.lpips.as_slice() {
            [] => None,
            paths => Some(Lpips::load(paths, &device)?),
        };
        let sizes = Sizes::of(&stage1.model)?;
        let pictures = Pictures::open(&self.pictures.selection(), &[], Some(sizes.resolution))?;
        let mut pictures = pictures.only(own.part);
        let id = |path: &PathBuf| id_of_file(&WeightFile::open(path, StateKind::Auto)?);
        let measurement = Measurement {
            model: stage1.id()?,
            sizes,
            split: self.pictures.split,
            device: kind(&device).into(),
            lpips: own.of_parts(|| self.lpips.iter().map(id).collect::<Result<_>>()).transpose()?,
            pictures: own.of_parts(|| pictures.fingerprint(&self.pictures.data)),
        };
        let mut task = console.task("measuring");
        let sums = pollster::block_on(measure(&stage1.model, lpips.as_ref(), &mut pictures, &mut task))?;
        own.finish(&measurement, sums, console)
    }
}

impl Setting for Measurement {
    const COMMAND: &'static str = "reconstruction";
    type Sums = Tally<Sums>;

    fn result(&self, sums: Self::Sums) -> Result<(Value, String)> {
        let measured = Measured::of(&self.sizes, sums)?;
        let mut value = json!(measured);
        value["model"] = json!(self.model);
        value["split"] = json!(self.split);
        Ok((value, self.text(&measured)))
    }
}

impl Measurement {
    fn text(&self, measured: &Measured) -> String {
        let mut lines = vec![
            format!(
                "{}, {resolution}x{resolution}",
                measured_on(measured.pictures, measured.left_out.len(), self.split),
                resolution = measured.resolution
            ),
            format!("PSNR     {:.3} dB; of the mean MSE {:.3} dB", measured.psnr, measured.psnr_of_mean_mse),
            format!("SSIM     {:.4}", measured.ssim),
            format!("MSE      {:.6}, over [0, 1]", measured.mse),
            format!(
                "bits     {:.1} per image, {:.4} per pixel; entropy-coded {:.1} and {:.4}",
                measured.bits_per_image,
                measured.bits_per_pixel,
                measured.entropy_bits_per_image,
                measured.entropy_bits_per_pixel
            ),
        ];
        lines.extend(measured.lpips.map(|lpips| format!("LPIPS    {lpips:.4}, VGG16")));
        lines.extend([
            String::new(),
            "codes             used   perplexity       bits  entropy     PSNR        MSE    LPIPS".into(),
        ]);
        lines.extend(measured.depths.iter().map(line));
        lines.join("\n")
    }
}

fn line(depth: &Depth) -> String {
    format!(
        "{:<5} {:>16} {:>12.1} {:>10.1} {:>8.1} {:>8.3} {:>10.6} {:>8}",
        depth.codes,
        format!("{} of {}", depth.codes_used, depth.codebook_size),
        depth.perplexity,
        depth.bits_per_image,
        depth.entropy_bits_per_image,
        depth.psnr,
        depth.mse,
        depth.lpips.map_or_else(|| "-".into(), |lpips| format!("{lpips:.4}"))
    )
}
