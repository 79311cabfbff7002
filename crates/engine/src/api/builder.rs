//! Options for loading a model.

use super::{DeviceChoice, Model, Options, Precision, Result, StateKind, Task};
use crate::start::{GpuKernels, start};

/// Options for loading a model; see [`Model::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is loaded before `load`"]
pub struct Builder {
    options: Options,
    device: DeviceChoice,
}

impl Builder {
    pub(super) fn new(model: String) -> Self {
        let (state, precision) = (StateKind::default(), Precision::default());
        Self { options: Options { model, rqvae: None, state, precision }, device: DeviceChoice::default() }
    }

    /// The RQ-VAE, if it is not where the transformer's configuration says.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model};
    /// let model = Model::builder("characters-128-ar").rqvae("characters-128").load()?;
    /// assert!(model.can_sample());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn rqvae(mut self, place: impl Into<String>) -> Self {
        self.options.rqvae = Some(place.into());
        self
    }

    /// The trained weights or their moving average. Default: the trained weights, if the file has them.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, StateKind};
    /// let model = Model::builder("characters-128").weights(StateKind::Auto).load()?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn weights(mut self, state: StateKind) -> Self {
        self.options.state = state;
        self
    }

    /// The precision of the transformer's weights in memory. Default: as in the file.
    ///
    /// ```
    /// # use residua_engine::api::{Error, Model, Precision};
    /// let model = Model::builder("characters-128").precision(Precision::F16).load()?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn precision(mut self, precision: Precision) -> Self {
        self.options.precision = precision;
        self
    }

    /// The device to compute on. Default: a hardware GPU if there is one and it is faster than the CPU in a short trial.
    ///
    /// ```
    /// # use residua_engine::api::{DeviceChoice, Error, Model};
    /// assert_eq!(Model::builder("characters-128").device(DeviceChoice::Cpu).load()?.device(), "cpu");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn device(mut self, device: DeviceChoice) -> Self {
        self.device = device;
        self
    }

    /// Opens the device and loads the model.
    ///
    /// ```
    /// # use residua_engine::api::Model;
    /// let error = Model::builder("characters-129").load().unwrap_err().to_string();
    /// assert!(error.contains("characters-129"), "{error}");
    /// ```
    ///
    /// # Errors
    /// There is no such device or model, or the model is damaged.
    pub fn load(self) -> Result<Model> {
        let device = start(self.device, GpuKernels::On)?;
        pollster::block_on(Model::load_with(&self.options, &device, &mut Task::unwatched()))
    }
}
