//! `residua encode`: pictures to codes.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::input::{self, stem};
use super::options::ModelArguments;
use super::output::{Console, shown};
use super::target::{ForceArguments, Target};
use residua_core::codes::npy;
use residua_core::error::{Error, Result};
use residua_engine::reconstruct::{Choice, encode};

/// Encode a picture into its code stack, an .npy of shape (h, w, D).
#[derive(Args)]
pub struct Encode {
    /// Picture to encode: PNG, JPEG, WebP, GIF or BMP, of any size; - for standard input.
    image: PathBuf,
    /// .npy file to write; - for standard output. [default: the picture's name, in the current folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sample codes by distance at this temperature; 0 takes the nearest codes.
    #[arg(long, default_value_t = 0.0, value_name = "T")]
    temperature: f32,
    /// Random seed for sampling at --temperature. [default: 0]
    #[arg(long, requires = "temperature")]
    seed: Option<u64>,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: ModelArguments,
}

impl Encode {
    /// Writes the codes.
    pub fn run(&self, console: &Console) -> Result<()> {
        let choice = self.choice()?;
        let name = || PathBuf::from(format!("{}.npy", stem(&self.image)));
        let target = Target::given_or(self.out.as_deref(), name, "npy", self.force, console)?;
        let picture = input::picture(&self.image)?;
        let stage1 = self.model.stage1(None, console)?;
        let stack =
            pollster::block_on(encode(&stage1.model, &[picture], choice, &mut console.task("encoding")))?
                .remove(0);
        let path = target.save(&npy::encode(&stack))?;
        console.wrote(&path);
        let [h, w, depth] = stack.shape();
        let value = json!({"codes": stack.codes(), "code_shape": [h, w, depth], "file": shown(&path)});
        console.result(value, &format!("code stack {h} x {w} x {depth}"))
    }

    fn choice(&self) -> Result<Choice> {
        match self.temperature {
            0.0 if self.seed.is_some() => {
                Err(Error::usage("--seed does nothing at --temperature 0, which takes the nearest codes"))
            }
            0.0 => Ok(Choice::Nearest),
            temperature if temperature.is_finite() && temperature > 0.0 => {
                Ok(Choice::Stochastic { temperature, seed: self.seed.unwrap_or(0) })
            }
            found => Err(Error::usage(format!("temperature: expected 0 (nearest) or more, found {found}"))),
        }
    }
}
