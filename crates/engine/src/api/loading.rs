//! Loads models.

use burn::tensor::Device;

#[cfg(not(target_family = "wasm"))]
use super::Builder;
use super::{Model, Options, Result, Stage1, Stage2, Stages, Task};
use crate::fetch::{fetch, fetch_tokenizer};
use residua_model::{Checkpoint, Stage};

impl Model {
    /// Loads a bundled model by its name, or the model at a path, on the best device of this machine.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model};
    /// let model = Model::load("characters-128")?;
    /// assert_eq!((model.resolution(), model.code_shape()), (128, [8, 8, 4]));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such model, or it is damaged.
    #[cfg(not(target_family = "wasm"))]
    pub fn load(place: impl Into<String>) -> Result<Self> {
        Self::builder(place).load()
    }

    /// Options for loading a model.
    ///
    /// ```
    /// # use residua_engine::api::{DeviceChoice, Error, Model, Precision};
    /// let model = Model::builder("characters-128").device(DeviceChoice::Cpu).precision(Precision::Q8).load()?;
    /// assert_eq!(model.device(), "cpu");
    /// # Ok::<(), Error>(())
    /// ```
    #[cfg(not(target_family = "wasm"))]
    pub fn builder(place: impl Into<String>) -> Builder {
        Builder::new(place.into())
    }

    /// Loads a model onto an open device: a stage 2 with its stage 1, or a stage 1 alone if there is no stage 2. `task` counts
    /// bytes, then tensors.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, Options, Precision, StateKind, Task, device};
    /// # pollster::block_on(async {
    /// let (state, precision) = (StateKind::Auto, Precision::Stored);
    /// let options = Options { model: "characters-128".into(), rqvae: None, state, precision };
    /// let mut task = Task::new(Default::default(), |done, total| assert!(done <= total));
    /// let model = Model::load_with(&options, &device::cpu(), &mut task).await?;
    /// assert!(model.can_sample());
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// There is no such model, it is damaged, or the task was stopped.
    pub async fn load_with(options: &Options, device: &Device, task: &mut Task<'_>) -> Result<Self> {
        for place in std::iter::once(&options.model).chain(&options.rqvae) {
            fetch(place, task).await?;
        }
        let checkpoint = open(options)?;
        checkpoint.warn_of_average()?;
        let stages = if checkpoint.rqtransformer().is_ok() {
            Stages::Both(Box::new(Stage2::from_checkpoint(checkpoint, options, device, task)?))
        } else {
            Stages::First(Box::new(Stage1::from_checkpoint(checkpoint, device, task)?))
        };
        Ok(Self { options: options.clone(), stages })
    }

    /// Fetches the vocabulary of the model's captions, if it takes any. Only needed in a browser.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, Task};
    /// # pollster::block_on(async {
    /// let model = Model::load("characters-128")?;
    /// model.fetch_tokenizer(&mut Task::unwatched()).await?;
    /// model.sample().prompt("a red cat").run_with(&mut Task::unwatched()).await?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The download failed, or the tokenizer is unknown.
    pub async fn fetch_tokenizer(&self, task: &mut Task<'_>) -> Result<()> {
        match &self.stages {
            Stages::First(_) => Ok(()),
            Stages::Both(stage2) => fetch_tokenizer(&stage2.model.config, task).await,
        }
    }
}

/// Opens the place's stage 2, or a stage 1 if it has none.
fn open(options: &Options) -> Result<Checkpoint> {
    let open = |stage| Checkpoint::open(&options.model, stage, options.state);
    // Without a stage, the place must hold only one model.
    match open(None).or_else(|_| open(Some(Stage::RqTransformer))) {
        Ok(found) if found.rqtransformer().is_ok() || options.rqvae.is_none() => Ok(found),
        _ => Stage1::open(options),
    }
}
