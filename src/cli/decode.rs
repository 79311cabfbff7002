//! `residua decode`: codes to pictures.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::input::{Codes, stem};
use super::options::ModelArguments;
use super::output::{Console, shown};
use super::target::{ForceArguments, Target};
use residua_core::error::Result;
use residua_engine::reconstruct::decode;
use residua_io::image_io::png_text::Provenance;
use residua_protocol::Recipe;

/// Decode an .npy of codes, or a PNG that carries its codes, into a picture.
#[derive(Args)]
pub struct Decode {
    /// Codes: an .npy of shape (h, w, D) or (n, h, w, D), or a PNG made by Residua; - for standard input.
    codes: PathBuf,
    /// PNG file to write, numbered if there are several; - for standard output. [default: the input's name
    /// with -decoded]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: ModelArguments,
}

impl Decode {
    /// Writes the pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        let name = || PathBuf::from(format!("{}-decoded.png", stem(&self.codes)));
        let target = Target::given_or(self.out.as_deref(), name, "png", self.force, console)?;
        let codes = Codes::read(&self.codes)?;
        let targets = match codes.stacks.len() {
            1 => vec![target],
            several => (0..several).map(|i| target.numbered(i)).collect::<Result<_>>()?,
        };
        let stage1 = self.model.stage1(codes.recipe.as_ref(), console)?;
        codes.check(&self.codes, &stage1.model)?;
        let id = stage1.id()?;
        let maker = codes.recipe.as_ref().map(|recipe| &recipe.rqvae.sha256);
        let is_another = maker.map_or(Ok(false), |maker| stage1.checkpoint.is(maker).map(|same| !same))?;
        if is_another {
            tracing::warn!(
                "{} was made with another RQ-VAE; with {} it may look different",
                self.codes.display(),
                id.name
            );
        }
        let pictures =
            pollster::block_on(decode(&stage1.model, &codes.stacks, &mut console.task("decoding")))?;
        if let ([made], false) = (&pictures[..], is_another) {
            codes.compare(&self.codes, made);
        }
        let Codes { stacks, recipe, .. } = codes;
        // A sampled or completed picture remains one when decoded again.
        let (made_by, sampling) =
            recipe.map_or(("decode".to_string(), None), |recipe| (recipe.made_by, recipe.sampling));
        let recipe = Recipe::new(&made_by, id, sampling).to_json();
        let mut files = Vec::new();
        for ((picture, stack), target) in pictures.iter().zip(stacks).zip(targets) {
            let provenance = Provenance { recipe: Some(recipe.clone()), codes: Some(stack) };
            files.push(shown(&console.save(picture, &target, &provenance)?));
        }
        console.result(json!({"files": files}), &format!("{} decoded", pictures.len()))
    }
}
