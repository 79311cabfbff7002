//! `residua sample`: new pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::bulk::BulkArguments;
use super::choosing::{Choosing, ChoosingArguments};
use super::drafting::DraftingArguments;
use super::input::read_recipe;
use super::options::{ConditionArguments, SamplingArguments, TransformerArguments, present};
use super::output::{Console, shown};
use super::target::{self, ForceArguments, Numbered, Target};
use residua_core::codes::CodeStack;
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::sampling::Forced;
use residua_core::task::Task;
use residua_engine::Stage2;
use residua_engine::judge::Best;
use residua_engine::reconstruct::decode;
use residua_engine::sample::{Sampled, request, sample};
use residua_io::image_io::png_text::Provenance;
use residua_io::image_io::{Picture, sheet};
use residua_model::generate::Request;
use residua_protocol::recipe::SamplingRecipe;
use residua_protocol::{ModelId, Options, Recipe, SamplePlan};

/// Pixels between the pictures of a sheet.
const GAP: usize = 2;
/// Commands that start from a picture's codes, so a recipe alone cannot repeat them.
const FROM_CODES: [(&str, &str); 2] = [("complete", "completed"), ("revise", "revised")];

/// Sample new pictures: PNGs that carry their codes and recipe, and a sheet of all.
#[derive(Args)]
pub struct Sample {
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    drafting: DraftingArguments,
    #[command(flatten)]
    choosing: ChoosingArguments,
    #[command(flatten)]
    bulk: BulkArguments,
    /// Repeat the recipe in this PNG; cannot be combined with other sampling options.
    #[arg(long, value_name = "PNG", conflicts_with_all = ["class", "prompt", "number", "seed", "temperature", "top_k", "top_p", "guidance", "draft", "revise", "revise_temperature", "revise_top_k", "revise_top_p", "revise_guidance", "clip", "classifier"])]
    from: Option<PathBuf>,
    /// Folder for the pictures.
    #[arg(long, short, default_value = "samples", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Sample {
    /// Whether several ranks can do it together.
    pub fn is_shared(&self) -> bool {
        self.bulk.bulk
    }

    /// Samples, decodes and saves; on Ctrl-C, saves the finished pictures.
    pub fn run(&self, console: &Console) -> Result<()> {
        target::check_folder(&self.out)?;
        if self.bulk.bulk {
            let device = self.model.model.device.open()?;
            return self.bulk.run(&self.out, &self.sampling, &self.drafting, &self.model, &device, console);
        }
        let (options, recipe) = match &self.from {
            Some(path) => {
                let (rqvae, recipe) = sampling_recipe(path)?;
                (self.options_of(&rqvae, &recipe)?, Some((rqvae, recipe)))
            }
            None => (self.model.options(), None),
        };
        let device = self.model.model.device.open()?;
        let stage2 = Stage2::load(&options, &device, &mut console.task("loading"))?;
        let config = &stage2.model.config;
        let plan = match recipe {
            Some((rqvae, recipe)) => {
                warn_of_differences(&rqvae, &recipe, &stage2)?;
                SamplingRecipe { precision: options.precision, ..recipe }
            }
            None => {
                let filters = self.sampling.filters(config, None)?;
                SamplingRecipe {
                    rqtransformer: stage2.id()?,
                    condition: self.condition.condition(),
                    seed: self.sampling.seed,
                    image: 0,
                    count: self.choosing.sampled(self.sampling.count())?,
                    schedule: self.drafting.schedule(config, &filters, None, None)?,
                    filters,
                    device: residua_kernels::device::kind(&device).into(),
                    precision: options.precision,
                    weights: self.model.model.weights,
                }
            }
        };
        let choosing = self.choosing.open(&plan, &stage2, self.sampling.count(), console)?;
        let (out, force) = (&self.out, self.force);
        Run { stage2: &stage2, console, out, force, made_by: "sample", choosing }.finish(plan, None)
    }

    /// The models of `recipe`, with `rqvae`, unless others are requested.
    fn options_of(&self, rqvae: &ModelId, recipe: &SamplingRecipe) -> Result<Options> {
        let asked = &self.model.model;
        let mut options = asked.model_or(Some(&recipe.rqtransformer.name), self.model.options())?;
        if asked.model.is_none() && options.rqvae.is_none() {
            options.rqvae = Some(present(&rqvae.name)?.to_string());
        }
        if options.state == StateKind::Auto {
            options.state = recipe.weights;
        }
        options.precision = self.model.precision().unwrap_or(recipe.precision);
        Ok(options)
    }
}

/// The RQ-VAE and the sampling recipe of the PNG at `path`.
fn sampling_recipe(path: &Path) -> Result<(ModelId, SamplingRecipe)> {
    let recipe = read_recipe(path)?;
    if let Some((command, done)) = FROM_CODES.iter().find(|(command, _)| recipe.made_by == *command) {
        return Err(Error::usage(format!(
            "{}: was {done} from existing codes; use `{command}` on the picture that they came from",
            path.display()
        )));
    }
    match recipe.sampling {
        Some(sampling) => Ok((recipe.rqvae, sampling)),
        None => Err(Error::invalid(format!(
            "{}: was made by {}, not by sampling",
            path.display(),
            recipe.made_by
        ))),
    }
}

fn warn_of_differences(rqvae: &ModelId, recipe: &SamplingRecipe, stage2: &Stage2) -> Result<()> {
    if !stage2.stage1.checkpoint.is(&rqvae.sha256)? {
        tracing::warn!("the recipe is for another RQ-VAE, {}; give it with --rqvae", rqvae.name);
    }
    if !stage2.checkpoint.is(&recipe.rqtransformer.sha256)? {
        tracing::warn!(
            "the recipe is for another model, {}; give it with --model",
            recipe.rqtransformer.name
        );
    }
    let kind = residua_kernels::device::kind(stage2.model.device());
    if recipe.device != kind {
        tracing::warn!(
            "the recipe was made on a {}, this is a {kind}: rounding differs, so some codes may differ",
            recipe.device
        );
    }
    Ok(())
}

/// The common part of `sample`, `complete` and `revise`: from a plan to files.
pub struct Run<'a> {
    /// The models.
    pub stage2: &'a Stage2,
    /// Where notes go.
    pub console: &'a Console,
    /// Folder for the pictures.
    pub out: &'a Path,
    /// What to do with existing pictures.
    pub force: ForceArguments,
    /// The subcommand.
    pub made_by: &'static str,
    /// Which samples to keep; `None` keeps all, in order.
    pub choosing: Option<Choosing>,
}

impl Run<'_> {
    /// Samples `plan`, writes each picture when it is done, then a sheet of all; on Ctrl-C, a sheet of the
    /// finished ones.
    pub fn finish(&self, plan: SamplingRecipe, forced: Option<Forced>) -> Result<()> {
        let request = self.request(&plan, forced)?;
        let schedule = plan.schedule.clone();
        target::folder(self.out)?;
        let mut done = Done {
            files: Numbered::new(self.out, plan.image, self.force)?,
            run: self,
            rqvae: self.stage2.stage1.id()?,
            sampled: 0,
            kept: Best::new(self.kept(&plan)),
            plan,
        };
        let mut task = self.console.task("sampling");
        let keep = async |sampled| match sampled {
            Sampled::Whole(stacks) => done.keep(stacks).await,
            Sampled::Partly { .. } => Ok(()),
        };
        let sampled = pollster::block_on(sample(
            &self.stage2.model,
            &request,
            schedule.as_ref(),
            false,
            &mut task,
            keep,
        ));
        match sampled {
            Err(Error::Cancelled) if done.sampled > 0 => {
                done.finish()?;
                Err(Error::Cancelled)
            }
            sampled => sampled.and_then(|()| done.finish()),
        }
    }

    /// How many of the plan's pictures to keep.
    fn kept(&self, plan: &SamplingRecipe) -> usize {
        self.choosing.as_ref().map_or(plan.count as usize, |choosing| choosing.kept)
    }

    fn request(&self, plan: &SamplingRecipe, forced: Option<Forced>) -> Result<Request> {
        let kept = self.kept(plan) as u32;
        let SamplingRecipe { condition, seed, image, count, filters, .. } = plan.clone();
        let plan = SamplePlan {
            condition,
            seed,
            first: image,
            count,
            filters,
            revise: None,
            forced,
            preview: false,
        };
        request(&plan, kept, &self.stage2.model.config)
    }
}

/// The progress of a run: the samples so far, and those that were kept and saved.
struct Done<'a> {
    run: &'a Run<'a>,
    files: Numbered<'a>,
    rqvae: ModelId,
    plan: SamplingRecipe,
    sampled: u32,
    kept: Best<Kept>,
}

/// A picture, its codes and its file.
struct Kept {
    stack: CodeStack,
    picture: Picture,
    path: PathBuf,
}

impl Done<'_> {
    /// Decodes and scores a batch and saves the pictures to keep. A stop does not lose a batch that was
    /// sampled.
    async fn keep(&mut self, stacks: Vec<CodeStack>) -> Result<()> {
        let model = &self.run.stage2.stage1.model;
        let pictures = decode(model, &stacks, &mut Task::unwatched()).await?;
        let scores = match &self.run.choosing {
            Some(choosing) => choosing.by.scores(self.run.stage2, &stacks, &pictures).await?,
            // Equal scores keep the order.
            None => vec![0.0; pictures.len()],
        };
        for ((picture, stack), score) in pictures.into_iter().zip(stacks).zip(scores) {
            let image = self.plan.image + self.sampled;
            self.sampled += 1;
            let provenance =
                Provenance { recipe: Some(self.recipe(image, score)), codes: Some(stack.clone()) };
            if !self.kept.takes(score) {
                continue;
            }
            // Only the folder of this path matters, for the model paths in the recipe.
            let png = picture.to_png(&provenance, &self.run.out.join("picture.png"))?;
            let path = self.files.save(image, &png)?;
            self.run.console.wrote(&path);
            if let Some(left) = self.kept.add(score, Kept { stack, picture, path }) {
                self.remove(&left.path)?;
            }
        }
        Ok(())
    }

    /// Removes a picture that was displaced by a better one.
    fn remove(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path).map_err(Error::io("remove", path))?;
        self.run.console.note(&format!("removed {}: displaced by a better one", path.display()));
        Ok(())
    }

    /// Saves a sheet if there are several pictures, and prints the result.
    fn finish(self) -> Result<()> {
        let Self { run, rqvae, plan, sampled, kept, .. } = self;
        let (scores, kept): (Vec<f32>, Vec<Kept>) = kept.into_vec().into_iter().unzip();
        let files: Vec<String> = kept.iter().map(|kept| shown(&kept.path)).collect();
        let (stacks, pictures): (Vec<CodeStack>, Vec<Picture>) =
            kept.into_iter().map(|kept| (kept.stack, kept.picture)).unzip();
        if pictures.len() > 1 {
            let columns = (pictures.len() as f64).sqrt().ceil() as usize;
            // The count is that of all samples, not only the kept ones.
            let sampling = SamplingRecipe { count: sampled, ..plan };
            let recipe = Recipe::new(run.made_by, rqvae, Some(sampling)).to_json();
            let provenance = Provenance { recipe: Some(recipe), codes: None };
            match sheet::grid(&pictures, columns, GAP) {
                Ok(sheet) => {
                    let target = Target::Chosen(run.out.join("sheet.png"), run.force.existing());
                    run.console.save(&sheet, &target, &provenance)?;
                }
                Err(error) => tracing::warn!("no sheet was written: {error}"),
            }
        }
        let mut value = json!({"files": files, "stacks": stacks});
        let text = match &run.choosing {
            Some(choosing) => {
                value["measure"] = json!(choosing.by.measure());
                value["scores"] = json!(scores);
                value["sampled"] = json!(sampled);
                choosing.listed(&scores, &files, sampled)
            }
            None => format!("{sampled} sampled into {}", run.out.display()),
        };
        run.console.result(value, &text)
    }

    /// The recipe of one picture.
    fn recipe(&self, image: u32, score: f32) -> String {
        let sampling = SamplingRecipe { image, count: 1, ..self.plan.clone() };
        let judgement = self.run.choosing.as_ref().map(|choosing| choosing.by.judgement(score));
        let recipe = Recipe::new(self.run.made_by, self.rqvae.clone(), Some(sampling));
        Recipe { judgement, ..recipe }.to_json()
    }
}
