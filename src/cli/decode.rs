//! `residua decode`: codes to pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::input::{Codes, stem};
use super::options::ModelArguments;
use super::output::Console;
use crate::engine::reconstruct::decode;
use crate::engine::{Recipe, Stage1};
use crate::error::Result;
use crate::image_io::png_text::Provenance;

/// Decode an .npy of codes, or a PNG that carries its codes, into a picture.
#[derive(Args)]
pub struct Decode {
    /// .npy of shape (h, w, D) or (n, h, w, D), or a PNG made by Residua.
    codes: PathBuf,
    /// The PNG to write; numbered if there are several. [default: the input's name with -decoded]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArguments,
}

impl Decode {
    /// Writes the pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        let Codes { stacks, recipe } = Codes::read(&self.codes)?;
        let device = self.model.device.open()?;
        let maker = recipe.as_ref().map(|recipe| recipe.rqvae.name.as_str());
        // Where an RQ-VAE is asked for, it is the one.
        let maker = maker.filter(|_| self.model.rqvae.is_none());
        let stage1 = Stage1::load(&self.model.options_or(maker)?, &device, &mut console.task("loading"))?;
        let id = stage1.id()?;
        if recipe.as_ref().is_some_and(|recipe| recipe.rqvae.sha256 != id.sha256) {
            tracing::warn!(
                "{} was made with another RQ-VAE; with {} it may look otherwise",
                self.codes.display(),
                id.name
            );
        }
        let pictures = pollster::block_on(decode(&stage1.model, &stacks, &mut console.task("decoding")))?;
        // What was sampled or completed is still so when it is decoded again.
        let (made_by, sampling) =
            recipe.map_or(("decode".to_string(), None), |recipe| (recipe.made_by, recipe.sampling));
        let recipe = Recipe::new(&made_by, id, sampling).to_json();
        let out =
            self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-decoded.png", stem(&self.codes))));
        let mut files = Vec::new();
        for (i, (picture, stack)) in pictures.iter().zip(stacks).enumerate() {
            let path = if pictures.len() == 1 { out.clone() } else { numbered(&out, i) };
            let provenance = Provenance { recipe: Some(recipe.clone()), codes: Some(stack) };
            console.save(picture, &path, &provenance)?;
            files.push(path);
        }
        console.result(json!({"files": files}), &format!("{} decoded", pictures.len()))
    }
}

/// `picture.png` to `picture-003.png`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    path.with_file_name(format!("{}-{number:03}.png", stem(path)))
}
