//! `residua morph`: an animation from one picture to another.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::input::Source;
use super::options::{ConditionArguments, TransformerArguments};
use super::output::{Console, shown};
use super::target::{ForceArguments, Target};
use super::words::{ORDERS, one_of};
use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_core::sampling::morph::{Morph as Plan, MorphOrder};
use residua_engine::Stage2;
use residua_engine::morph::{Fitting, morph};
use residua_engine::reconstruct::decode;
use residua_io::image_io::Picture;
use residua_io::image_io::animation::encode_apng;
use residua_model::RqVae;
use residua_protocol::Condition;

/// Most frames a second: a frame lasts whole milliseconds, and at least 10.
const MOST_FPS: u16 = 100;

/// Turn one picture into another cell by cell, as an animated PNG.
#[derive(Args)]
pub struct Morph {
    /// The first picture, a PNG that carries codes, or an .npy of codes.
    from: PathBuf,
    /// The last picture, likewise.
    to: PathBuf,
    /// The animated PNG to write; - for standard output.
    #[arg(long, short, default_value = "morph.png", value_name = "FILE")]
    out: PathBuf,
    /// Number of frames, the first and last picture included.
    #[arg(long, default_value_t = 24, value_name = "N")]
    frames: u32,
    /// Frames a second.
    #[arg(long, default_value_t = 12, value_name = "N")]
    fps: u16,
    /// The order in which cells change.
    #[arg(long, value_parser = one_of(ORDERS), default_value = "distance")]
    order: MorphOrder,
    /// Revise the cells where the two pictures meet in each frame, so that they fit. Needs a contextual model.
    #[arg(long)]
    fit: bool,
    /// Seed of a random order, and of --fit. [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Morph {
    /// Writes the animation.
    pub fn run(&self, console: &Console) -> Result<()> {
        if self.fps == 0 || self.fps > MOST_FPS {
            return Err(Error::usage(format!("--fps: expected 1 to {MOST_FPS}, found {}", self.fps)));
        }
        self.check_fit()?;
        let target = Target::given(&self.out, "png", self.force, console)?;
        let plan = Plan { order: self.order, frames: self.frames, seed: self.seed.unwrap_or(0) };
        let ends = [Source::read(&self.from)?, Source::read(&self.to)?];
        let made = if self.fit {
            let stage2 = self.model.stage2(ends[0].recipe(), console)?;
            self.fitted(ends, &stage2, &plan, console)?
        } else {
            let rqvae = self.model.model.stage1(ends[0].recipe(), console)?.model;
            let [from, to] = self.ends(ends, &rqvae, console)?;
            let mut task = console.task("morphing");
            let frames = pollster::block_on(morph(&from.stack, &to.stack, &plan, None, &mut task))?;
            pollster::block_on(decode(&rqvae, &frames, &mut console.task("decoding")))?
        };
        let path = target.save(&encode_apng(&made, 1000 / self.fps)?)?;
        console.wrote(&path);
        let value = json!({"file": shown(&path), "frames": made.len()});
        console.result(value, &format!("{} frames", made.len()))
    }

    /// Refuses options that do nothing without `--fit`.
    fn check_fit(&self) -> Result<()> {
        let is_random = self.order == MorphOrder::Random;
        let idle = [
            (
                self.condition.condition() != Condition::Unconditional,
                "--class and --prompt do nothing without --fit: leave them out, or add --fit",
            ),
            (
                self.model.precision().is_some(),
                "--precision and --half do nothing without --fit: leave them out, or add --fit",
            ),
            (
                self.seed.is_some() && !is_random,
                "--seed does nothing without --fit or --order random: leave it out, or add one of them",
            ),
        ];
        match idle.into_iter().find(|(is_given, _)| *is_given && !self.fit) {
            Some((_, message)) => Err(Error::usage(message)),
            None => Ok(()),
        }
    }

    /// The pictures of the frames, their seams revised. The condition is the last picture's unless one is given.
    fn fitted(
        &self,
        ends: [Source; 2],
        stage2: &Stage2,
        plan: &Plan,
        console: &Console,
    ) -> Result<Vec<Picture>> {
        let (model, rqvae) = (&stage2.model, &stage2.stage1.model);
        let [from, to] = self.ends(ends, rqvae, console)?;
        let fitting = Fitting {
            model,
            condition: self.condition.condition_or(to.condition).tokens(&model.config)?,
            filters: model.config.sampling.of_revisions(&model.config.sampling.filters),
        };
        let mut task = console.task("morphing");
        let frames = pollster::block_on(morph(&from.stack, &to.stack, plan, Some(&fitting), &mut task))?;
        pollster::block_on(decode(rqvae, &frames, &mut console.task("decoding")))
    }

    fn ends(&self, [from, to]: [Source; 2], rqvae: &RqVae, console: &Console) -> Result<[End; 2]> {
        let end = |source: Source, path: &Path| {
            let codes = source.codes(rqvae, &mut console.task("encoding"))?;
            let (stack, recipe) = codes.single(path)?;
            let condition = recipe.and_then(|recipe| Some(recipe.sampling?.condition));
            Ok(End { stack, condition })
        };
        Ok([end(from, &self.from)?, end(to, &self.to)?])
    }
}

/// The first or the last picture.
struct End {
    stack: CodeStack,
    /// What it was sampled from, if it was.
    condition: Option<Condition>,
}
