//! `residua complete`: keep a part of a stack, sample the rest.

use std::path::{Path, PathBuf};

use clap::Args;

use super::input::{Codes, bytes, in_file};
use super::options::{ConditionArguments, SamplingArguments, TransformerArguments};
use super::output::Console;
use super::sample::Run;
use super::target::ForceArguments;
use crate::codes::CodeStack;
use crate::engine::Stage2;
use crate::engine::recipe::SamplingRecipe;
use crate::error::{Error, Result};
use crate::generate::Forced;
use crate::image_io::mask;

/// Keep a part of a picture's codes and sample the rest; kept codes are fed to the transformer.
#[derive(Args)]
pub struct Complete {
    /// A picture, a PNG that carries codes, or an .npy of codes; - for standard input.
    input: PathBuf,
    /// Keep the first rows of cells.
    #[arg(long, value_name = "N", required_unless_present = "mask", conflicts_with = "mask")]
    rows: Option<usize>,
    /// Resample the cells under the white part of this picture, or under the transparent part where it has one; keep the others.
    #[arg(long, value_name = "IMAGE")]
    mask: Option<PathBuf>,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Folder for the pictures.
    #[arg(long, short, default_value = "completed", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Complete {
    /// Samples, decodes and saves; on Ctrl-C, saves what is whole.
    pub fn run(&self, console: &Console) -> Result<()> {
        let device = self.model.model.device.open()?;
        let stage2 = Stage2::load(&self.model.options(), &device, &mut console.task("loading"))?;
        let codes = Codes::read_or_encode(&self.input, &stage2.stage1.model, &mut console.task("encoding"))?;
        let (stack, recipe) = codes.single(&self.input)?;
        let keep = match (&self.mask, self.rows) {
            (Some(mask), _) => outside(mask, &stack, stage2.stage1.model.config.ddconfig.resolution)?,
            (None, rows) => first_rows(rows.unwrap_or(0), &stack)?,
        };
        let rqtransformer = stage2.id()?;
        let found = recipe.and_then(|recipe| recipe.sampling);
        // What another model was sampled with says nothing of this one.
        let same = found.as_ref().filter(|found| found.rqtransformer.sha256 == rqtransformer.sha256);
        let filters = self.sampling.filters(&stage2.model.config, same.map(|found| &found.filters[..]))?;
        let plan = SamplingRecipe {
            rqtransformer,
            condition: self.condition.condition_or(found.map(|found| found.condition)),
            seed: self.sampling.seed,
            image: 0,
            count: self.sampling.count(),
            filters,
            device: crate::device::kind(&device).into(),
            precision: self.model.precision().unwrap_or_default(),
            weights: self.model.model.weights.into(),
        };
        let (out, force) = (&self.out, self.force);
        Run { stage2: &stage2, console, out, force, made_by: "complete", choosing: None }
            .finish(plan, Some(Forced { stack, keep }))
    }
}

fn first_rows(rows: usize, stack: &CodeStack) -> Result<Vec<bool>> {
    if rows > stack.h() {
        return Err(Error::usage(format!("--rows: the stack has {} rows, found {rows}", stack.h())));
    }
    let kept = rows * stack.w() * stack.depth();
    Ok((0..stack.codes().len()).map(|place| place < kept).collect())
}

/// Keeps the cells under which the mask, fitted like the picture, is darker than middle grey on average.
fn outside(path: &Path, stack: &CodeStack, resolution: usize) -> Result<Vec<bool>> {
    let mask = in_file(path, mask::from_bytes(&bytes(path)?))?.fit(resolution)?;
    let (rows, columns) = (resolution / stack.h(), resolution / stack.w());
    let brightness = |row: usize, column: usize| -> f32 {
        let pixels = (row * rows..(row + 1) * rows)
            .flat_map(|y| (column * columns..(column + 1) * columns).map(move |x| y * resolution + x));
        pixels.map(|i| mask.data()[i]).sum()
    };
    let mut keep = Vec::with_capacity(stack.codes().len());
    for row in 0..stack.h() {
        for column in 0..stack.w() {
            let dark = brightness(row, column) < 0.0;
            keep.extend(std::iter::repeat_n(dark, stack.depth()));
        }
    }
    Ok(keep)
}
