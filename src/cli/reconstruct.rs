//! `residua reconstruct`: a picture through the model and back.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::input::{self, stem};
use super::options::ModelArguments;
use super::output::{Console, shown};
use super::target::{self, ForceArguments, Target};
use residua_core::error::Result;
use residua_engine::reconstruct::{Reconstruction, reconstruct};
use residua_io::image_io::png_text::Provenance;
use residua_io::image_io::sheet;
use residua_protocol::Recipe;

/// Pixels between the pictures of a strip.
const GAP: usize = 4;

/// Reconstruct a picture from its codes, and show it from one code per cell, from two, and so on.
#[derive(Args)]
pub struct Reconstruct {
    /// Picture to reconstruct: PNG, JPEG, WebP, GIF or BMP, of any size; - for standard input.
    image: PathBuf,
    /// Folder for the reconstruction and the strip.
    #[arg(long, short, default_value = ".", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: ModelArguments,
}

impl Reconstruct {
    /// Prints the metrics and writes both pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        target::check_folder(&self.out)?;
        let picture = input::picture(&self.image)?;
        let stage1 = self.model.stage1(None, console)?;
        let made =
            pollster::block_on(reconstruct(&stage1.model, &picture, &mut console.task("reconstructing")))?;

        target::folder(&self.out)?;
        let named = |what: &str| {
            let name = format!("{}-{what}.png", stem(&self.image));
            Target::Chosen(self.out.join(name), self.force.existing())
        };
        let recipe = Recipe::new("reconstruct", stage1.id()?, None).to_json();
        let provenance = Provenance { recipe: Some(recipe), codes: Some(made.codes.clone()) };
        let path = console.save(made.picture(), &named("reconstruction"), &provenance)?;
        let mut pictures = vec![made.original.clone()];
        pictures.extend(made.partials.iter().cloned());
        let strip = sheet::strip(&pictures, GAP)?;
        let strip_path = named("strip").save(&strip.to_sheet()?)?;
        console.wrote(&strip_path);
        report(console, &made, &path, &strip_path)
    }
}

fn report(console: &Console, made: &Reconstruction, path: &Path, strip: &Path) -> Result<()> {
    let [h, w, depth] = made.codes.shape();
    let norms: Vec<String> = made.residual_norms.iter().map(|norm| format!("{norm:.3}")).collect();
    let text = format!(
        "PSNR                {:.2} dB\nSSIM                {:.4}\nbits per pixel      {:.4}\ncode stack          {h} x {w} x {depth}\nlatent norm         {:.3}\nresidual by depth   {}",
        made.psnr,
        made.ssim,
        made.bits_per_pixel,
        made.latent_norm,
        norms.join("  "),
    );
    let value = json!({
        "psnr": made.psnr, "ssim": made.ssim, "bits_per_pixel": made.bits_per_pixel, "code_shape": [h, w, depth],
        "latent_norm": made.latent_norm, "residual_norms": made.residual_norms,
        "reconstruction": shown(path), "strip": shown(strip),
    });
    console.result(value, &text)
}
