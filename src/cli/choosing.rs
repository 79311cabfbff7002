//! Options of `sample` that select the best samples, and their output.

use std::path::PathBuf;

use clap::Args;

use super::output::Console;
use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_engine::Stage2;
use residua_engine::fit::Fit;
use residua_engine::judge::{Judge, sampled_for};
use residua_io::image_io::Picture;
use residua_protocol::ModelId;
use residua_protocol::condition::{Condition, class_number};
use residua_protocol::recipe::{Judgement, Measure, SamplingRecipe};

/// Default fraction of the samples that a classifier accepts.
const ACCEPTANCE: f64 = 0.25;

// clap does not enforce `requires` if the required option conflicts with another one that is given, so the
// conflicts of the required option are repeated here.
/// How the best samples are selected.
#[derive(Args, Clone)]
pub struct ChoosingArguments {
    /// Sort the samples by how well they match the caption, best first: CLIP (ViT) weights, a .pt or
    /// .safetensors file.
    #[arg(long, value_name = "PATH", requires = "prompt", conflicts_with_all = ["class", "from"])]
    clip: Option<PathBuf>,
    /// With --clip: keep only the K best samples. [default: all]
    #[arg(long, value_name = "K", requires = "clip", conflicts_with_all = ["class", "classifier", "acceptance", "from"])]
    keep: Option<u32>,
    /// Sample more than -n pictures and keep the -n that show the class most clearly: torchvision ResNet
    /// weights, a .pt, .pth or .safetensors file.
    #[arg(long, value_name = "PATH", requires = "class", conflicts_with_all = ["prompt", "clip", "from"])]
    classifier: Option<PathBuf>,
    /// With --classifier: fraction of the samples to accept, above 0 and at most 1. [default: 0.25]
    #[arg(long, value_name = "RATE", requires = "classifier", conflicts_with_all = ["prompt", "clip", "from"])]
    acceptance: Option<f64>,
}

/// Which of the samples to keep.
pub struct Choosing {
    /// How they are scored.
    pub by: By,
    /// How many to keep.
    pub kept: usize,
}

/// How samples are scored.
pub enum By {
    /// By a model that looks at pictures.
    Judge(Judge),
    /// By the transformer itself, from the codes that were kept.
    Fit(Fit, ModelId),
}

impl ChoosingArguments {
    /// How many pictures to sample if `number` are requested.
    pub fn sampled(&self, number: u32) -> Result<u32> {
        match self.classifier {
            Some(_) => sampled_for(number, self.acceptance.unwrap_or(ACCEPTANCE)),
            None => Ok(number),
        }
    }

    /// Loads the judge of the pictures of `plan`, if the options name one; `number` pictures are requested.
    pub fn open(
        &self,
        plan: &SamplingRecipe,
        stage2: &Stage2,
        number: u32,
        console: &Console,
    ) -> Result<Option<Choosing>> {
        let (config, device) = (&stage2.model.config, stage2.model.device());
        // Refuse a condition that does not fit the model before loading anything else.
        plan.condition.tokens(config)?;
        let mut task = console.task("loading");
        let (judge, kept) = match (&plan.condition, &self.clip, &self.classifier) {
            (Condition::Prompt(prompt), Some(path), _) => {
                let kept = self.keep.unwrap_or(number);
                if !(1..=number).contains(&kept) {
                    return Err(Error::usage(format!(
                        "--keep: expected 1 to {number}, the value of -n, found {kept}"
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
    /// The measure of the scores.
    pub fn measure(&self) -> Measure {
        match self {
            Self::Judge(judge) => judge.measure(),
            Self::Fit(..) => Measure::KeptLikelihood,
        }
    }

    /// The score of each sample in a batch.
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

    /// The judgement in the recipe of a picture with this score.
    pub fn judgement(&self, score: f32) -> Judgement {
        match self {
            Self::Judge(judge) => judge.judgement(score),
            Self::Fit(_, id) => Judgement { judge: id.clone(), measure: self.measure(), score },
        }
    }
}

impl Choosing {
    /// One line per kept picture, best first, and a summary with the number `sampled`.
    pub fn listed(&self, scores: &[f32], files: &[String], sampled: u32) -> String {
        let measure = self.by.measure().name();
        let lines = scores.iter().zip(files).map(|(score, file)| format!("{score:.4}  {file}\n"));
        format!("{}best of {sampled} by {measure}: {}", lines.collect::<String>(), files.len())
    }
}
