//! `residua encode`: pictures to codes.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::input::stem;
use super::options::ModelArguments;
use super::output::Console;
use crate::codes::npy;
use crate::engine::Stage1;
use crate::engine::reconstruct::{Choice, encode};
use crate::error::{Error, Result};
use crate::image_io::Picture;

/// Encode a picture into its code stack, an .npy of shape (h, w, D).
#[derive(Args)]
pub struct Encode {
    /// PNG, JPEG, WebP, GIF or BMP, of any size.
    image: PathBuf,
    /// The .npy to write. [default: the picture's name in the current folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw codes by distance at this temperature; 0: the nearest codes.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, value_name = "T")]
    temperature: f32,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    model: ModelArguments,
}

impl Encode {
    /// Writes the codes.
    pub fn run(&self, console: &Console) -> Result<()> {
        let choice = self.choice()?;
        let picture = Picture::read(&self.image)?;
        let device = self.model.device.open()?;
        let stage1 = Stage1::load(&self.model.options(), &device, &mut console.task("loading"))?;
        let stack =
            pollster::block_on(encode(&stage1.model, &[picture], choice, &mut console.task("encoding")))?
                .remove(0);
        let path = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.npy", stem(&self.image))));
        npy::save(&path, &stack)?;
        console.note(&format!("wrote {}", path.display()));
        let [h, w, depth] = stack.shape();
        let value = json!({"codes": stack.codes(), "code_shape": [h, w, depth], "file": path});
        console.result(value, &format!("code stack {h} x {w} x {depth}"))
    }

    fn choice(&self) -> Result<Choice> {
        match self.temperature {
            0.0 => Ok(Choice::Nearest),
            temperature if temperature.is_finite() && temperature > 0.0 => {
                Ok(Choice::Stochastic { temperature, seed: self.seed })
            }
            found => Err(Error::usage(format!("temperature: expected 0 (nearest) or more, found {found}"))),
        }
    }
}
