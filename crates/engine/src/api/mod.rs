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

#[cfg(not(target_family = "wasm"))]
mod builder;
mod coded;
mod editing;
mod explaining;
mod loading;
mod sampling;

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
pub use residua_protocol::{Condition, Options};

/// A loaded RQ-VAE, with its RQ-Transformer unless it was loaded alone.
#[derive(Debug)]
pub struct Model {
    stages: Stages,
}

#[derive(Debug)]
enum Stages {
    First(Box<Stage1>),
    Both(Box<Stage2>),
}

impl Model {
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

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::verify::golden::Golden;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

    /// A model with its published outputs, which are of the averaged weights if there are any.
    fn fixture(name: &str, weights: StateKind) -> (Model, Golden) {
        let folder = Path::new(FIXTURES).join(name);
        let golden = Golden::open(&folder.join("golden.safetensors")).unwrap();
        let place = folder.to_str().unwrap();
        (Model::builder(place).device(DeviceChoice::Cpu).weights(weights).load().unwrap(), golden)
    }

    fn on_cpu(name: &str) -> Model {
        Model::builder(format!("{FIXTURES}/{name}")).device(DeviceChoice::Cpu).load().unwrap()
    }

    #[test]
    fn decoded_pixels_match_the_published_code() {
        let (model, golden) = fixture("rqvae-shared", StateKind::Auto);
        let codes = golden.stacks("codes").unwrap();
        let pixels = golden.values("decode_code").unwrap();
        for (codes, pixels) in codes.iter().zip(pixels.chunks_exact(3 * 32 * 32)) {
            let expected = Picture::new(32, 32, pixels.to_vec()).unwrap().to_rgb8();
            let found = model.decode(codes).unwrap();
            let furthest = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(furthest <= Some(1), "{furthest:?}");
            assert_eq!(model.edit(codes).run().unwrap().image, found);
        }
    }

    #[test]
    fn greedy_samples_and_completions_match_the_published_code() {
        let (model, golden) = fixture("rqt-class", StateKind::Ema);
        let given = golden.stacks("codes").unwrap();
        let expected = ["greedy", "greedy_keep_row0"].map(|name| golden.stacks(name).unwrap());
        for (image, class) in golden.numbers("cond").unwrap().into_iter().enumerate() {
            let sampled = model.sample().class(class).temperature(0.0).run().unwrap();
            assert_eq!(sampled[0].codes, expected[0][image], "{class}");
            let completed =
                model.complete(&given[image], |row, _| row == 0).class(class).top_k(1).run().unwrap();
            assert_eq!(completed[0].codes, expected[1][image], "{class}");
        }
    }

    #[test]
    fn an_edit_follows_the_explanation() {
        let model = on_cpu("rqt-class");
        let codes = model.sample().class(3).first(2).run().unwrap().remove(0).codes;
        let place = [4, 5, 1];
        let explanation = model.explain(&codes, place).class(3).count(2).run().unwrap();
        assert_eq!(explanation.suggestions.len(), 2);
        assert_eq!(explanation.chosen.code, codes.at(4, 5, 1).unwrap());
        let edited = model.edit(&codes).set(place, explanation.suggestions[0].code).run().unwrap();
        let best = model.explain(&edited.codes, place).class(3).run().unwrap();
        assert_eq!((best.rank, best.chosen.code), (0, explanation.suggestions[0].code));
        assert_eq!(edited.image, model.decode(&edited.codes).unwrap());
    }

    #[test]
    fn classes_go_by_name_or_number() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.yaml", "model.pt"] {
            std::fs::copy(format!("{FIXTURES}/rqt-class/{file}"), folder.path().join(file)).unwrap();
        }
        let names: Vec<String> = (0..10).map(|number| format!("Kind {number}")).collect();
        std::fs::write(folder.path().join("classes.txt"), names.join("\n")).unwrap();
        let model = Model::builder(folder.path().display().to_string())
            .rqvae(format!("{FIXTURES}/rqvae-shared"))
            .device(DeviceChoice::Cpu)
            .load()
            .unwrap();
        assert_eq!(model.classes(), names);
        let sampled = |class: &str| model.sample().class(class).run().unwrap().remove(0).codes;
        assert_eq!(sampled("kind 3"), sampled("3"));
        assert!(on_cpu("rqt-class").classes().is_empty());
    }

    #[test]
    fn an_rqvae_alone_does_not_sample() {
        let model = on_cpu("rqvae-shared");
        assert!(!model.can_sample() && model.classes().is_empty());
        let error = model.sample().run().unwrap_err().to_string();
        assert!(error.contains("no RQ-Transformer"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = on_cpu("rqt-class");
        let codes = CodeStack::new(8, 8, 4, vec![0; 256]).unwrap();
        let small = CodeStack::new(1, 1, 1, vec![0]).unwrap();
        for (error, expected) in [
            (model.encode(&RgbImage::new(0, 5)).map(drop), "found one of 0x5"),
            (model.decode(&small).map(drop), "expected codes of shape"),
            (model.edit(&codes).set([8, 0, 0], 1).run().map(drop), "outside the 8x8x4"),
            (model.edit(&codes).set([0, 0, 0], 5000).run().map(drop), "found 5000"),
            (model.sample().run().map(drop), "needs a class"),
            (
                model.sample().class(0).adjust(|depth, filter| filter.top_p = depth as f32).run().map(drop),
                "top-p",
            ),
            (model.complete(&small, |_, _| true).class(0).run().map(drop), "code stacks are"),
            (model.explain(&codes, [0, 0, 4]).class(0).run().map(drop), "outside the 8x8x4"),
        ] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_stopped_task_stops_the_work() {
        let model = on_cpu("rqt-class");
        let stopped = || Task::new(std::sync::Arc::new(true.into()), |_, _| ());
        let sampled = pollster::block_on(model.sample().class(0).run_with(&mut stopped()));
        assert!(matches!(sampled, Err(Error::Cancelled)), "{sampled:?}");
        let codes = CodeStack::new(8, 8, 4, vec![0; 256]).unwrap();
        let explained = pollster::block_on(model.explain(&codes, [0; 3]).class(0).run_with(&stopped()));
        assert!(matches!(explained, Err(Error::Cancelled)), "{explained:?}");
    }
}
