//! The models for other programs: load one, then encode, reconstruct, decode, sample, complete, explain and edit.
//!
//! ```
//! use residua_engine::api::{Error, Model};
//!
//! let (model, caption) = (Model::load("characters-128")?, "a blue cat with a red scarf");
//! let samples = model.sample().prompt(caption).seed(7).run()?;
//! let explanation = model.explain(&samples[0].codes, [4, 4, 0]).prompt(caption).run()?;
//! let edited = model.edit(&samples[0].codes).set([4, 4, 0], explanation.suggestions[1].code).run()?;
//! assert_eq!(edited.codes.at(4, 4, 0)?, explanation.suggestions[1].code);
//! # Ok::<(), Error>(())
//! ```
//!
//! A function that computes waits for its result. Each has an async twin whose name ends in `_with`, for browsers and for
//! programs that show progress: it takes a [`Task`], which reports progress and stops the work.
//!
//! Codes, filters and tasks need no model:
//!
//! ```
//! use residua_engine::api::{CodeStack, Condition, Error, Filter, Rounds, Task};
//! use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
//!
//! let blank = CodeStack::new(2, 2, 1, vec![0; 4])?;
//! let mut codes = blank.clone();
//! codes.set(1, 0, 0, 7)?;
//! assert_eq!((codes.at(1, 0, 0)?, codes.diff(&blank)?), (7, vec![(1, 0, 0)]));
//!
//! assert_ne!(Condition::Class("cat".into()), Condition::Prompt("cat".into()));
//! Filter { temperature: 0.9, top_p: 0.95, ..Filter::NONE }.check()?;
//! assert_eq!("2x4".parse::<Rounds>()?, Rounds { rounds: 2, parts: 4 });
//!
//! let stop = Arc::new(AtomicBool::new(false));
//! let task = Task::new(stop.clone(), |done, total| println!("{done} of {total}"));
//! stop.store(true, Ordering::Relaxed);
//! assert!(matches!(task.check(), Err(Error::Cancelled)));
//! # Ok::<(), Error>(())
//! ```

#[cfg(not(target_family = "wasm"))]
mod builder;
mod coded;
mod editing;
mod explaining;
mod loading;
mod recipe;
mod sampling;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

pub use image;
use image::RgbImage;

#[cfg(not(target_family = "wasm"))]
pub use builder::Builder;
pub use coded::Coded;
pub use editing::Editing;
pub use explaining::Explaining;
pub use sampling::Sampling;

pub use crate::models::{Stage1, Stage2};
pub use crate::reconstruct::{Choice, Reconstruction};
use crate::reconstruct::{decode, encode, reconstruct};
#[cfg(not(target_family = "wasm"))]
pub use crate::train;
pub use residua_core::codes::CodeStack;
pub use residua_core::config::{Precision, StateKind};
pub use residua_core::error::{Error, Result};
use residua_core::sampling::Forced;
pub use residua_core::sampling::{Filter, Rounds, Schedule};
pub use residua_core::task::Task;
use residua_io::image_io::Picture;
pub use residua_kernels::device::{self, DeviceChoice};
use residua_model::RqVae;
pub use residua_protocol::explanation::{Explanation, Suggestion};
pub use residua_protocol::{Condition, Options, Recipe};

/// A loaded RQ-VAE, with its RQ-Transformer unless it was loaded alone.
///
/// ```
/// # use residua_engine::api::{DeviceChoice, Error, Model, Precision};
/// let model = Model::builder("characters-128").device(DeviceChoice::Cpu).load()?;
/// assert_eq!((model.device(), model.resolution(), model.code_shape()), ("cpu", 128, [8, 8, 4]));
/// assert_eq!(model.options().precision, Precision::Stored);
/// assert_eq!(model.stage1().checkpoint.name, "characters-128");
/// assert!(model.can_sample() && model.stage2()?.model.config.null_token().is_some());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    options: Options,
    stages: Stages,
}

#[derive(Debug)]
enum Stages {
    First(Box<Stage1>),
    Both(Box<Stage2>),
}

impl Model {
    /// How it was loaded.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The RQ-VAE.
    pub fn stage1(&self) -> &Stage1 {
        match &self.stages {
            Stages::First(stage1) => stage1,
            Stages::Both(stage2) => &stage2.stage1,
        }
    }

    /// The RQ-Transformer with its RQ-VAE.
    ///
    /// # Errors
    /// The RQ-VAE was loaded alone.
    pub fn stage2(&self) -> Result<&Stage2> {
        match &self.stages {
            Stages::First(_) => {
                Err(Error::usage("this model has no RQ-Transformer: load a model with a stage 2"))
            }
            Stages::Both(stage2) => Ok(stage2),
        }
    }

    fn rqvae(&self) -> &RqVae {
        &self.stage1().model
    }

    /// Whether it can sample, complete and explain.
    pub fn can_sample(&self) -> bool {
        self.stage2().is_ok()
    }

    /// `cpu` or `gpu`.
    pub fn device(&self) -> &'static str {
        device::kind(self.rqvae().device())
    }

    /// Width and height of its images, in pixels.
    pub fn resolution(&self) -> usize {
        self.rqvae().config.ddconfig.resolution
    }

    /// Rows and columns of cells, and codes in each.
    pub fn code_shape(&self) -> [usize; 3] {
        self.rqvae().config.hparams.code_shape
    }

    /// Names of its classes; empty if they have none, or if it takes no class.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model};
    /// assert!(Model::load("characters-128")?.classes().is_empty(), "it takes captions");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn classes(&self) -> &[String] {
        self.stage2().map_or(&[][..], |stage2| stage2.model.config.class_folders())
    }

    /// The codes of an image of any size: its central square, at the model's resolution.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, image::{Rgb, RgbImage}};
    /// let image = RgbImage::from_pixel(320, 240, Rgb([255, 200, 0]));
    /// let codes = Model::load("characters-128")?.encode(&image)?;
    /// assert_eq!(codes.shape(), [8, 8, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The image is empty, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn encode(&self, image: &RgbImage) -> Result<CodeStack> {
        pollster::block_on(self.encode_with(image, Choice::Nearest, &mut Task::unwatched()))
    }

    /// Like `encode`, async and with a choice of codes.
    ///
    /// ```
    /// # use residua_engine::api::{Choice, Error, Model, Task, image::RgbImage};
    /// # pollster::block_on(async {
    /// let model = Model::load("characters-128")?;
    /// let choice = Choice::Stochastic { temperature: 0.5, seed: 1 };
    /// let codes = model.encode_with(&RgbImage::new(64, 64), choice, &mut Task::unwatched()).await?;
    /// assert_eq!(codes.shape(), model.code_shape());
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The image is empty, the device failed, or the task was stopped.
    pub async fn encode_with(
        &self,
        image: &RgbImage,
        choice: Choice,
        task: &mut Task<'_>,
    ) -> Result<CodeStack> {
        Ok(encode(self.rqvae(), &[picture(image)?], choice, task).await?.remove(0))
    }

    /// The image that codes stand for.
    ///
    /// ```
    /// # use residua_engine::api::{CodeStack, Error, Model};
    /// let image = Model::load("characters-128")?.decode(&CodeStack::new(8, 8, 4, vec![0; 256])?)?;
    /// assert_eq!(image.dimensions(), (128, 128));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The codes are not the model's, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn decode(&self, codes: &CodeStack) -> Result<RgbImage> {
        pollster::block_on(self.decode_with(codes, &mut Task::unwatched()))
    }

    /// Like `decode`, async.
    ///
    /// ```
    /// # use residua_engine::api::{CodeStack, Error, Model, Task};
    /// # pollster::block_on(async {
    /// let (model, codes) = (Model::load("characters-128")?, CodeStack::new(8, 8, 4, vec![0; 256])?);
    /// let image = model.decode_with(&codes, &mut Task::unwatched()).await?;
    /// assert_eq!(image, model.decode(&codes)?);
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The codes are not the model's, the device failed, or the task was stopped.
    pub async fn decode_with(&self, codes: &CodeStack, task: &mut Task<'_>) -> Result<RgbImage> {
        Ok(decode(self.rqvae(), std::slice::from_ref(codes), task).await?.remove(0).to_rgb8())
    }

    /// Encodes an image of any size and decodes it from one code per cell, from two, and so on.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, image::{Rgb, RgbImage}};
    /// let made = Model::load("characters-128")?.reconstruct(&RgbImage::from_pixel(64, 64, Rgb([255; 3])))?;
    /// assert_eq!(made.partials.len(), 4);
    /// assert_eq!(made.image().dimensions(), (128, 128));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The image is empty, or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn reconstruct(&self, image: &RgbImage) -> Result<Reconstruction> {
        pollster::block_on(self.reconstruct_with(image, &mut Task::unwatched()))
    }

    /// Like `reconstruct`, async. `task` counts depths.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, Task, image::RgbImage};
    /// # pollster::block_on(async {
    /// let model = Model::load("characters-128")?;
    /// let mut task = Task::new(Default::default(), |done, total| assert!(done <= total));
    /// let made = model.reconstruct_with(&RgbImage::new(64, 64), &mut task).await?;
    /// assert!(made.residual_norms[3] < made.latent_norm);
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The image is empty, the device failed, or the task was stopped.
    pub async fn reconstruct_with(&self, image: &RgbImage, task: &mut Task<'_>) -> Result<Reconstruction> {
        reconstruct(self.rqvae(), &picture(image)?, task).await
    }

    /// Samples new images.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model};
    /// let model = Model::load("characters-128")?;
    /// let samples = model.sample().prompt("a red cat").count(2).seed(1).temperature(0.9).run()?;
    /// assert_eq!(samples.len(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sample(&self) -> Sampling<'_> {
        Sampling::new(self, None)
    }

    /// Samples the cells of an image that `keep` (called with row and column) does not keep.
    ///
    /// ```
    /// # use residua_engine::api::{CodeStack, Error, Model};
    /// let model = Model::load("characters-128")?;
    /// let codes = CodeStack::new(8, 8, 4, vec![0; 256])?;
    /// let completed = model.complete(&codes, |row, _| row < 4).prompt("a red cat").run()?;
    /// assert_eq!(completed[0].codes.codes()[..128], [0; 128]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn complete(&self, codes: &CodeStack, keep: impl Fn(usize, usize) -> bool) -> Sampling<'_> {
        let keeps = |cell: usize| keep(cell / codes.w(), cell % codes.w());
        let keep = (0..codes.codes().len()).map(|place| keeps(place / codes.depth())).collect();
        Sampling::new(self, Some(Forced { stack: codes.clone(), keep }))
    }

    /// The codes that the transformer predicts at `place`, which is row, column and depth, given those before it, or for a
    /// contextual model, all other cells.
    ///
    /// ```
    /// # use residua_engine::api::{CodeStack, Error, Model};
    /// let model = Model::load("characters-128")?;
    /// let codes = CodeStack::new(8, 8, 4, vec![0; 256])?;
    /// let explanation = model.explain(&codes, [4, 4, 0]).prompt("a red cat").count(3).run()?;
    /// assert!(explanation.suggestions[0].probability >= explanation.suggestions[1].probability);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn explain<'a>(&'a self, codes: &'a CodeStack, place: [usize; 3]) -> Explaining<'a> {
        Explaining::new(self, codes, place)
    }

    /// Changes codes and decodes them.
    ///
    /// ```
    /// # use residua_engine::api::{CodeStack, Error, Model};
    /// let model = Model::load("characters-128")?;
    /// let codes = CodeStack::new(8, 8, 4, vec![0; 256])?;
    /// let edited = model.edit(&codes).set([4, 4, 0], 17).set([4, 4, 1], 3).run()?;
    /// assert_eq!(codes.diff(&edited.codes)?, [(4, 4, 0), (4, 4, 1)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn edit(&self, codes: &CodeStack) -> Editing<'_> {
        Editing::new(self, codes.clone())
    }
}

/// The pixels of `image`.
fn picture(image: &RgbImage) -> Result<Picture> {
    if image.is_empty() {
        let (width, height) = image.dimensions();
        return Err(Error::usage(format!("expected an image with pixels, found one of {width}x{height}")));
    }
    Ok(Picture::from_rgb8(image))
}
