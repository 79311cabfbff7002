//! The training loop, and the trait of models that it trains.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use serde_json::Value;
use web_time::Instant;

use super::data::{Batches, Loaded, Wish, in_order_by_turns};
use super::pace::Pace;
use super::rank_share::RankShare;
use super::run::{RunFolder, Tensors, hash, line, open_training, steps_of};
use super::schedule::Schedule;
use super::validation::Validation;
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::task::Task;
use residua_io::image_io::{Picture, sheet};
use residua_model::tensors::from_tensor;
use residua_weights::WeightFile;

/// Pixels between the pictures of a sheet.
const GAP: usize = 2;

/// Steps between two comparisons of the ranks' weights. They are also compared before each checkpoint.
const COMPARED_EVERY: u64 = 250;

/// The name of a metric.
pub type Name = Cow<'static, str>;

/// The metrics of one step, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured(Vec<(Name, f64)>);

impl Measured {
    /// Adds `value` to the metric `name`.
    pub fn add(&mut self, name: impl Into<Name>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum += value,
            None => self.0.push((name, value)),
        }
    }

    /// Appends all metrics of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Replaces all values by their sums over the ranks of `share`, which have metrics of the same names.
    pub fn sum(&mut self, share: &RankShare) {
        let mut values: Vec<f64> = self.0.iter().map(|(_, value)| *value).collect();
        share.world().sum_f64(&mut values);
        self.0.iter_mut().zip(values).for_each(|((_, value), sum)| *value = sum);
    }

    /// Turns sums into means.
    pub fn divide(&mut self, by: f64) {
        self.0.iter_mut().for_each(|(_, value)| *value /= by);
    }

    /// The metric `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// All metrics by name.
    pub fn all(&self) -> &[(Name, f64)] {
        &self.0
    }

    fn first_not_finite(&self) -> Option<&(Name, f64)> {
        self.0.iter().find(|(_, value)| !value.is_finite())
    }
}

/// The parts of a step.
pub type Parts<'a> = dyn ExactSizeIterator<Item = Result<Loaded>> + 'a;

/// A model that can be trained.
pub trait Trainee {
    /// Takes the weights in `file` that fit, before the first step. Returns the names of the parameters that
    /// are missing there.
    ///
    /// # Errors
    /// The file cannot be read.
    fn take(&mut self, file: &WeightFile) -> Result<Vec<String>>;

    /// Takes the weights of the judges from `file`, under names that begin with `prefix`, as far as they fit.
    /// Returns the names of those that are missing. Most models have no judges.
    ///
    /// # Errors
    /// The file cannot be read.
    fn take_judges(&mut self, _file: &WeightFile, _prefix: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Learns only a `share` of each step from now on. Without this, it learns all.
    fn learn_only(&mut self, share: RankShare);

    /// Takes step `step`, counted from 0, with the mean gradient of `parts`, which are loaded one at a time. If ranks
    /// share the run, they are this rank's share, and the gradient is that of all.
    ///
    /// # Errors
    /// A part cannot be loaded, which leaves the model as it was; the data do not fit the model.
    fn learn(&mut self, parts: &mut Parts<'_>, step: u64, rate: f64) -> Result<Measured>;

    /// Takes step `step` with parts that are already loaded.
    ///
    /// # Errors
    /// Those of [`Self::learn`].
    fn step(&mut self, parts: &[Loaded], step: u64, rate: f64) -> Result<Measured> {
        self.learn(&mut parts.iter().cloned().map(Ok), step, rate)
    }

    /// The model's tensors, as saved in its checkpoint.
    fn model(&self) -> Tensors;

    /// Other tensors needed to resume the run.
    fn training(&self) -> Tensors;

    /// Resumes from a checkpoint after `steps` steps.
    ///
    /// # Errors
    /// The checkpoint does not fit the model.
    fn resume(&mut self, model: &WeightFile, training: &WeightFile, steps: u64) -> Result<()>;

    /// Evaluates the model as its checkpoint has it (EMA weights, if enabled) on a batch of held-out
    /// pictures, after `steps` steps.
    ///
    /// # Errors
    /// The data do not fit the model.
    fn validate(&mut self, held_out: &Loaded, steps: u64, found: &mut Validation) -> Result<()>;

    /// The pictures of a sheet: held-out pictures and what the model makes of them, in rows of one picture
    /// per image in the batch.
    ///
    /// # Errors
    /// The data do not fit the model.
    fn sheet(&mut self, held_out: &Loaded) -> Result<Vec<Picture>>;
}

/// The length of a run, and how often it writes each kind of output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The learning rate.
    pub schedule: Schedule,
    /// Total number of steps.
    pub steps: u64,
    /// Gradient accumulation: parts per step.
    pub parts: usize,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Steps between sheets.
    pub sheet_every: u64,
    /// Steps between evaluations on held-out pictures.
    pub test_every: u64,
    /// Step of the first evaluation.
    pub first_test: u64,
}

impl Plan {
    /// True if the model is evaluated on held-out pictures after `steps` steps. It always is after the last
    /// step.
    fn tests_after(&self, steps: u64) -> bool {
        steps == self.steps || steps == self.first_test || steps.is_multiple_of(self.test_every)
    }
}

/// A run in progress.
pub struct Run<'a> {
    /// The model in training.
    pub trainee: &'a mut dyn Trainee,
    /// Where it runs.
    pub device: &'a Device,
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// The run's configuration, saved in each checkpoint.
    pub document: &'a Value,
    /// Its length and output intervals.
    pub plan: Plan,
    /// The held-out pictures to evaluate on, or none.
    pub held_out: Wish,
    /// This rank's share of the steps.
    pub share: RankShare,
}

/// Progress reported to the caller after each step.
pub struct Told<'a> {
    /// Steps taken.
    pub steps: u64,
    /// Metrics of the last step.
    pub measured: &'a Measured,
    /// Images per second since the run was started or resumed.
    pub speed: f64,
    /// The sheet that was just written.
    pub sheet: Option<PathBuf>,
    /// The rank that the others wait for, if there is one, and how many times their time it takes.
    pub slow: Option<(usize, f64)>,
}

impl Run<'_> {
    /// Resumes from the latest checkpoint and returns its step count, or 0 if there are no checkpoints.
    ///
    /// # Errors
    /// The checkpoint cannot be read, or belongs to another model.
    pub fn resume(&mut self) -> Result<u64> {
        let Some(checkpoint) = self.folder.latest()? else {
            self.folder.forget_after(0)?;
            return Ok(0);
        };
        let damaged = |error: Error| {
            let place = checkpoint.display();
            Error::invalid(format!("{error}; to resume from the checkpoint before it, delete {place}"))
        };
        let training = open_training(&checkpoint).map_err(damaged)?;
        let steps = steps_of(&training).map_err(damaged)?;
        let model =
            WeightFile::open(&checkpoint.join("model.safetensors"), StateKind::Auto).map_err(damaged)?;
        self.trainee.resume(&model, &training, steps)?;
        self.folder.forget_after(steps)?;
        Ok(steps)
    }

    /// Takes the remaining steps after `begun`. If `task` stops it, on any rank, it first writes a checkpoint.
    ///
    /// # Errors
    /// The loss became NaN or infinite; the ranks' weights differ; a file cannot be written; [`Error::Cancelled`]. The
    /// last checkpoint stays.
    pub fn train(
        &mut self,
        begun: u64,
        mut batches: Batches,
        shown: Option<&Loaded>,
        task: &mut Task<'_>,
        mut tell: impl FnMut(&Told),
    ) -> Result<()> {
        let (started, mut images) = (Instant::now(), 0);
        let world = self.share.world().clone();
        let mut pace = Pace::new(world.clone());
        self.compare(begun)?;
        if begun == self.plan.steps {
            return self.finish(shown, task);
        }
        for step in begun..self.plan.steps {
            pace.begin();
            let rate = self.plan.schedule.at(step);
            let mut measured = self.learn(step, rate, &mut batches, task)?;
            let slow = pace.end();
            images += self.plan.parts * batches.size();
            residua_kernels::device::failure::check(self.device)?;
            let steps = step + 1;
            self.check(steps, &measured)?;
            let is_last = steps == self.plan.steps;
            let saves = is_last || steps.is_multiple_of(self.plan.save_every);
            if saves || steps.is_multiple_of(COMPARED_EVERY) {
                self.compare(steps)?;
            }
            // Before what may take minutes, so that a run that is killed meanwhile loses nothing.
            if saves {
                self.save(steps)?;
            }
            if self.plan.tests_after(steps) {
                measured.extend(self.validate(steps, task)?);
            }
            self.folder.measure(&line(steps, rate, &measured.0))?;
            let speed = images as f64 / started.elapsed().as_secs_f64();
            // The receiver may pause the run here, and then stop it.
            task.report(steps as usize, self.plan.steps as usize);
            // Checked once: if the stop comes later, the next step writes the checkpoint.
            let stopped = world.any(task.is_stopped());
            if stopped && !saves {
                self.save(steps)?;
            }
            let draws = is_last || steps.is_multiple_of(self.plan.sheet_every);
            let drawn = shown.filter(|_| draws && !stopped && world.leads());
            let sheet = drawn.map(|shown| self.draw(steps, shown)).transpose()?;
            tell(&Told { steps, measured: &measured, speed, sheet, slow });
            if stopped {
                world.wait();
                return Err(Error::Cancelled);
            }
        }
        Ok(())
    }

    /// Takes step `step`. If `task` stops it between two parts, on any rank, it first writes a checkpoint.
    fn learn(&mut self, step: u64, rate: f64, batches: &mut Batches, task: &Task<'_>) -> Result<Measured> {
        let world = self.share.world();
        let mut parts = (0..self.plan.parts / self.share.teams()).map(|part| {
            // Steps of many parts take minutes. The run checks between steps.
            if part > 0 && world.any(task.is_stopped()) {
                return Err(Error::Cancelled);
            }
            batches.next_batch()
        });
        let learned = self.trainee.learn(&mut parts, step, rate);
        if matches!(learned, Err(Error::Cancelled)) {
            if self.folder.taken()? < step {
                self.save(step)?;
            }
            // The exit of a rank may kill the others, so wait until rank 0 has written.
            world.wait();
        }
        learned
    }

    /// Metrics on held-out pictures, of which ranks take batches in turn; empty if there are none or the run is stopped
    /// meanwhile.
    pub(super) fn validate(&mut self, steps: u64, task: &Task<'_>) -> Result<Measured> {
        let world = self.share.world().clone();
        let mut found = Validation::default();
        for batch in in_order_by_turns(&self.held_out, [world.rank(), world.size()]) {
            if task.is_stopped() {
                break;
            }
            self.trainee.validate(&batch, steps, &mut found)?;
        }
        if world.any(task.is_stopped()) {
            return Ok(Measured::default());
        }
        found.merge(world.as_ref())?;
        Ok(found.finish().unwrap_or_default())
    }

    /// Refuses ranks whose weights differ from those of rank 0 after `steps` steps: they would learn different models.
    fn compare(&self, steps: u64) -> Result<()> {
        let world = self.share.world();
        if world.is_alone() {
            return Ok(());
        }
        let all = world.gather([hash(&self.trainee.model()), hash(&self.trainee.training())].concat());
        let Some(rank) = all.iter().position(|hash| *hash != all[0]) else { return Ok(()) };
        Err(Error::invalid(format!(
            "expected the same weights on all ranks after step {steps}, found a difference between ranks 0 and {rank}; {}: \
             use devices of the same kind with the same driver on all ranks, and resume",
            self.kept()?
        )))
    }

    /// Writes a checkpoint after `steps` steps, unless another rank does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, steps: u64) -> Result<()> {
        if !self.folder.writes() {
            return Ok(());
        }
        let (model, training) = (self.trainee.model(), self.trainee.training());
        self.folder.save(steps, self.document, &model, &training).map(drop)
    }

    pub(super) fn draw(&mut self, steps: u64, held_out: &Loaded) -> Result<PathBuf> {
        let pictures = self.trainee.sheet(held_out)?;
        let columns = held_out.len().max(1);
        let path = self.folder.sheet(steps);
        files::save(&path, &sheet::grid(&pictures, columns, GAP)?.to_sheet()?)?;
        Ok(path)
    }

    fn check(&self, steps: u64, measured: &Measured) -> Result<()> {
        let Some((name, value)) = measured.first_not_finite() else { return Ok(()) };
        Err(Error::invalid(format!(
            "{name} became {value} at step {steps}; {}: train with a lower init_lr, or set optimizer.max_gn",
            self.kept()?
        )))
    }

    /// Says which checkpoint is left.
    fn kept(&self) -> Result<String> {
        let kept = self.folder.latest()?;
        let kept = kept.as_deref().map(Path::display);
        Ok(kept.map_or_else(
            || "there is no checkpoint yet".into(),
            |path| format!("the last good checkpoint is {path}"),
        ))
    }
}

/// The parts of step `step` that are in `share`, each with a number that is unique in the run and seeds its sampling and
/// dropout.
pub fn passes(
    step: u64,
    parts: &mut Parts<'_>,
    share: &RankShare,
) -> impl Iterator<Item = Result<(u32, Loaded)>> {
    let first = step * (parts.len() * share.teams()) as u64;
    share.numbers(first).zip(parts).map(|(pass, part)| part.map(|part| (pass as u32, part)))
}

/// Rows of `images` `[B, 3, H, W]` as pictures, row by row.
pub fn pictures(rows: &[Tensor<4>]) -> Result<Vec<Picture>> {
    let row = |images: &Tensor<4>| pollster::block_on(from_tensor(images.clone()));
    Ok(rows.iter().map(row).collect::<Result<Vec<_>>>()?.concat())
}
