//! Anything that is trained step by step, and the loop that does it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use serde_json::Value;
use web_time::Instant;

use super::data::{Batches, Loaded, Wish, in_order};
use super::run::{RunFolder, Tensors, line, open_training, steps_of};
use super::schedule::Schedule;
use super::validation::Validation;
use crate::checkpoint::{StateKind, WeightFile};
use crate::engine::task::Task;
use crate::error::{Error, Result};
use crate::image_io::png_text::Provenance;
use crate::image_io::{Picture, sheet};

/// Pixels between the pictures of a sheet.
const GAP: usize = 2;

/// What is measured is called.
pub type Name = Cow<'static, str>;

/// What one step has measured, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured(Vec<(Name, f64)>);

impl Measured {
    /// Adds `value` to what is called `name`.
    pub fn add(&mut self, name: impl Into<Name>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum += value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds all that `other` has.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Makes means of sums.
    pub fn divide(&mut self, by: f64) {
        self.0.iter_mut().for_each(|(_, value)| *value /= by);
    }

    /// The value called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// All values by name.
    pub fn all(&self) -> &[(Name, f64)] {
        &self.0
    }

    fn first_not_finite(&self) -> Option<&(Name, f64)> {
        self.0.iter().find(|(_, value)| !value.is_finite())
    }
}

/// Anything that is trained.
pub trait Trainee {
    /// Takes the weights in `file` that fit, before the first step: the names of those that are not there.
    ///
    /// # Errors
    /// The file cannot be read.
    fn take(&mut self, file: &WeightFile) -> Result<Vec<String>>;

    /// Takes what judges the model from `file`, under names that begin with `prefix`, as far as it fits: the names of what is
    /// not there. Nothing judges most models.
    ///
    /// # Errors
    /// The file cannot be read.
    fn take_judges(&mut self, _file: &WeightFile, _prefix: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Takes step `step`, which counts from 0, with the mean gradient of `parts`.
    ///
    /// # Errors
    /// The data do not fit the model.
    fn step(&mut self, parts: &[Loaded], step: u64, rate: f64) -> Result<Measured>;

    /// The model as its checkpoint has it.
    fn model(&self) -> Tensors;

    /// What a run needs besides.
    fn training(&self) -> Tensors;

    /// Goes on from a checkpoint after `steps` steps.
    ///
    /// # Errors
    /// It does not fit.
    fn resume(&mut self, model: &WeightFile, training: &WeightFile, steps: u64) -> Result<()>;

    /// Measures on a batch of held-out pictures, after `steps` steps, the model that people get: it learns nothing.
    ///
    /// # Errors
    /// The data do not fit the model.
    fn validate(&mut self, held_out: &Loaded, steps: u64, found: &mut Validation) -> Result<()>;

    /// What the model makes of held-out pictures, for people to see: rows of as many pictures.
    ///
    /// # Errors
    /// The data do not fit the model.
    fn sheet(&mut self, held_out: &Loaded) -> Result<Vec<Picture>>;
}

/// How long a run is, and what it writes when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The learning rate.
    pub schedule: Schedule,
    /// Steps in all.
    pub steps: u64,
    /// Parts of a step.
    pub parts: usize,
    /// Steps from one checkpoint to the next.
    pub save_every: u64,
    /// Steps from one sheet to the next.
    pub sheet_every: u64,
    /// Steps from one measurement on held-out pictures to the next.
    pub test_every: u64,
    /// Steps before the first of these.
    pub first_test: u64,
}

impl Plan {
    /// Whether held-out pictures are measured after `steps` steps: always at the end.
    fn tests_after(&self, steps: u64) -> bool {
        steps == self.steps || steps == self.first_test || steps.is_multiple_of(self.test_every)
    }
}

/// A run under way.
pub struct Run<'a> {
    /// What is trained.
    pub trainee: &'a mut dyn Trainee,
    /// Where it is kept.
    pub folder: &'a RunFolder,
    /// Its configuration, which each checkpoint carries.
    pub document: &'a Value,
    /// How long it is.
    pub plan: Plan,
    /// The pictures that it is measured on, none or those that are held out.
    pub held_out: Wish,
}

/// What a front door is told after each step.
pub struct Told<'a> {
    /// Steps taken.
    pub steps: u64,
    /// What the last one measured.
    pub measured: &'a Measured,
    /// Images a second, since the run was begun or gone on with.
    pub speed: f64,
    /// The sheet that was just drawn.
    pub sheet: Option<PathBuf>,
}

impl Run<'_> {
    /// Goes on from the latest checkpoint: steps taken so far; none where there is no checkpoint.
    ///
    /// # Errors
    /// It cannot be read, or is of another model.
    pub fn resume(&mut self) -> Result<u64> {
        let Some(checkpoint) = self.folder.latest()? else {
            self.folder.forget_after(0)?;
            return Ok(0);
        };
        let training = open_training(&checkpoint)?;
        let steps = steps_of(&training)?;
        let model = WeightFile::open(&checkpoint.join("model.safetensors"), StateKind::Auto)?;
        self.trainee.resume(&model, &training, steps)?;
        self.folder.forget_after(steps)?;
        Ok(steps)
    }

    /// Takes the steps that are left after `begun`; stopped by `task`, it writes a checkpoint first.
    ///
    /// # Errors
    /// The loss is no number any more; the disk refuses; [`Error::Cancelled`]. The last checkpoint stays.
    pub fn train(
        &mut self,
        begun: u64,
        mut batches: Batches,
        shown: Option<&Loaded>,
        task: &mut Task<'_>,
        mut tell: impl FnMut(&Told),
    ) -> Result<()> {
        let (started, mut images) = (Instant::now(), 0);
        for step in begun..self.plan.steps {
            let parts = (0..self.plan.parts).map(|_| batches.next_batch()).collect::<Result<Vec<_>>>()?;
            images += parts.iter().map(Loaded::len).sum::<usize>();
            let rate = self.plan.schedule.at(step);
            let mut measured = self.trainee.step(&parts, step, rate)?;
            crate::device::failure::check()?;
            let steps = step + 1;
            self.check(steps, &measured)?;
            if self.plan.tests_after(steps) {
                measured.extend(self.validate(steps, task)?);
            }
            self.folder.measure(&line(steps, rate, &measured.0))?;
            let speed = images as f64 / started.elapsed().as_secs_f64();
            // Whoever watches may hold the run here, and stop it then.
            task.report(steps as usize, self.plan.steps as usize);
            // Asked once: a stop that comes later lets the next step write the checkpoint.
            let stopped = task.is_stopped();
            let over = steps == self.plan.steps || stopped;
            let drawn = shown.filter(|_| over || steps.is_multiple_of(self.plan.sheet_every));
            let sheet = drawn.map(|shown| self.draw(steps, shown)).transpose()?;
            if over || steps.is_multiple_of(self.plan.save_every) {
                self.save(steps)?;
            }
            tell(&Told { steps, measured: &measured, speed, sheet });
            if stopped {
                return Err(Error::Cancelled);
            }
        }
        Ok(())
    }

    /// What the model is worth on held-out pictures; nothing where there are none, or the run is stopped meanwhile.
    fn validate(&mut self, steps: u64, task: &Task<'_>) -> Result<Measured> {
        let mut found = Validation::default();
        for batch in in_order(&self.held_out) {
            if task.is_stopped() {
                return Ok(Measured::default());
            }
            self.trainee.validate(&batch, steps, &mut found)?;
        }
        Ok(found.finish().unwrap_or_default())
    }

    fn save(&self, steps: u64) -> Result<()> {
        let (model, training) = (self.trainee.model(), self.trainee.training());
        self.folder.save(steps, self.document, &model, &training).map(drop)
    }

    fn draw(&mut self, steps: u64, held_out: &Loaded) -> Result<PathBuf> {
        let pictures = self.trainee.sheet(held_out)?;
        let columns = held_out.len().max(1);
        let path = self.folder.sheet(steps);
        sheet::grid(&pictures, columns, GAP)?.save_png(&path, &Provenance::default())?;
        Ok(path)
    }

    fn check(&self, steps: u64, measured: &Measured) -> Result<()> {
        let Some((name, value)) = measured.first_not_finite() else { return Ok(()) };
        let kept = self.folder.latest()?;
        let kept = kept.as_deref().map(Path::display);
        let kept = kept.map_or_else(
            || "there is no checkpoint yet".into(),
            |path| format!("the last good checkpoint is {path}"),
        );
        Err(Error::invalid(format!(
            "{name} became {value} at step {steps}; {kept}: go on with a lower init_lr or with optimizer.max_gn"
        )))
    }
}

/// The parts of step `step`, each with a number that no other part of the run has: of what it draws and leaves out.
pub fn passes(step: u64, parts: &[Loaded]) -> impl Iterator<Item = (u32, &Loaded)> {
    let first = step * parts.len() as u64;
    (first..).map(|pass| pass as u32).zip(parts)
}

/// Rows of `images` `[B, 3, H, W]` as pictures, one after the other.
pub fn pictures(rows: &[Tensor<4>]) -> Result<Vec<Picture>> {
    let mut all = Vec::new();
    for images in rows {
        let [count, channels, height, width] = images.dims();
        let values = crate::kernels::values(images.clone());
        for image in values.chunks_exact(channels * height * width).take(count) {
            all.push(Picture::new(width, height, image.to_vec())?);
        }
    }
    Ok(all)
}
