//! Options of `sample` that choose among what is sampled, and what they print.

use std::path::PathBuf;

use clap::Args;

use super::output::Console;
use crate::codes::CodeStack;
use crate::engine::condition::{Condition, class_number};
use crate::engine::fit::Fit;
use crate::engine::judge::{Judge, sampled_for};
use crate::engine::recipe::{Judgement, Measure, SamplingRecipe};
use crate::engine::{ModelId, Stage2};
use crate::error::{Error, Result};
use crate::image_io::Picture;

/// The part of samples that a classifier accepts, unless another is asked for.
const ACCEPTANCE: f64 = 0.25;

// clap does not ask for what an option requires where that conflicts with another option: what the required one conflicts
// with is therefore listed here, too.
/// How the best of what is sampled are found.
#[derive(Args, Clone)]
pub struct ChoosingArguments {
    /// Sort by how well pictures fit the caption, best first: weights of CLIP (ViT), a .pt or .safetensors.
    #[arg(long, value_name = "PATH", requires = "prompt", conflicts_with_all = ["class", "from"])]
    clip: Option<PathBuf>,
    /// Keep the K best of them. [default: all]
    #[arg(long, value_name = "K", requires = "clip", conflicts_with_all = ["class", "classifier", "from"])]
    keep: Option<u32>,
    /// Sample more than -n, and keep those that show the class most surely: weights of a ResNet of torchvision, a .pt, .pth
    /// or .safetensors.
    #[arg(long, value_name = "PATH", requires = "class", conflicts_with_all = ["prompt", "clip", "from"])]
    classifier: Option<PathBuf>,
    /// The part of what is sampled that the classifier accepts. [default: 0.25]
    #[arg(long, value_name = "RATE", requires = "classifier", conflicts_with_all = ["prompt", "clip", "from"], allow_negative_numbers = true)]
    acceptance: Option<f64>,
}

/// What is kept of all that is sampled.
pub struct Choosing {
    /// What says how good they are.
    pub by: By,
    /// How many are kept.
    pub kept: usize,
}

/// What says how good samples are.
pub enum By {
    /// A model that looks at pictures.
    Judge(Judge),
    /// The transformer itself, by the codes that were kept.
    Fit(Fit, ModelId),
}

impl ChoosingArguments {
    /// How many pictures are sampled, where `number` are asked for.
    pub fn sampled(&self, number: u32) -> Result<u32> {
        match self.classifier {
            Some(_) => sampled_for(number, self.acceptance.unwrap_or(ACCEPTANCE)),
            None => Ok(number),
        }
    }

    /// Loads what judges the pictures of `plan`, of which `number` were asked for, if anything does.
    pub fn open(
        &self,
        plan: &SamplingRecipe,
        stage2: &Stage2,
        number: u32,
        console: &Console,
    ) -> Result<Option<Choosing>> {
        let (config, device) = (&stage2.model.config, stage2.model.device());
        // What the model is not made for is refused before anything else is loaded.
        plan.condition.tokens(config)?;
        let mut task = console.task("loading");
        let (judge, kept) = match (&plan.condition, &self.clip, &self.classifier) {
            (Condition::Prompt(prompt), Some(path), _) => {
                let kept = self.keep.unwrap_or(number);
                if !(1..=number).contains(&kept) {
                    return Err(Error::usage(format!(
                        "--keep: expected 1 to the {number} of -n, found {kept}"
                    )));
                }
                (Judge::of_caption(path, prompt, device, &mut task)?, kept)
            }
            (Condition::Class(class), _, Some(path)) => {
                let class = class_number(class, config)? as usize;
                (Judge::of_class(path, class, config.vocab_size_cond, device, &mut task)?, number)
            }
            _ => return Ok(None),
        };
        Ok(Some(Choosing { by: By::Judge(judge), kept: kept as usize }))
    }
}

impl By {
    /// What they are compared by.
    pub fn measure(&self) -> Measure {
        match self {
            Self::Judge(judge) => judge.measure(),
            Self::Fit(..) => Measure::KeptLikelihood,
        }
    }

    /// How good each of a batch is.
    ///
    /// # Errors
    /// The device failed.
    pub async fn scores(
        &self,
        stage2: &Stage2,
        stacks: &[CodeStack],
        pictures: &[Picture],
    ) -> Result<Vec<f32>> {
        match self {
            Self::Judge(judge) => judge.scores(pictures).await,
            Self::Fit(fit, _) => fit.scores(&stage2.model, stacks).await,
        }
    }

    /// For the recipe of a picture of this score.
    pub fn judgement(&self, score: f32) -> Judgement {
        match self {
            Self::Judge(judge) => judge.judgement(score),
            Self::Fit(_, id) => Judgement { judge: id.clone(), measure: self.measure(), score },
        }
    }
}

impl Choosing {
    /// A line for each picture kept, best first, and how many were `sampled`.
    pub fn listed(&self, scores: &[f32], files: &[String], sampled: u32) -> String {
        let measure = self.by.measure().name();
        let lines = scores.iter().zip(files).map(|(score, file)| format!("{score:.4}  {file}\n"));
        format!("{}best of {sampled} by {measure}: {}", lines.collect::<String>(), files.len())
    }
}
