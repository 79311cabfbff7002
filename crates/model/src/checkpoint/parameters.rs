//! The tensors that a checkpoint's model reads.

use crate::{Checkpoint, Loader, Parameter, RqTransformer, RqVae};
use residua_core::config::{Config, ModelConfig};
use residua_core::error::Result;
use residua_weights::WeightFile;

impl Checkpoint {
    /// The names and shapes of all tensors that the model reads, in the model's order.
    ///
    /// # Errors
    /// The configuration describes no possible model.
    pub fn parameters(&self) -> Result<&[Parameter]> {
        if let Some(known) = self.parameters.get() {
            return Ok(known);
        }
        let planned = planned(&self.config.model)?;
        Ok(self.parameters.get_or_init(|| planned))
    }
}

/// The parameters of `model`, from building it without weights.
pub(super) fn planned(model: &ModelConfig) -> Result<Vec<Parameter>> {
    let mut loader = Loader::plan(&residua_kernels::device::cpu());
    match model {
        ModelConfig::RqVae(config) => drop(RqVae::load(&mut loader, config)?),
        ModelConfig::RqTransformer(config) => {
            drop(RqTransformer::load(&mut loader, config, None)?);
        }
    }
    loader.finish()
}

/// `weights` under the names of the `parameters` of the model of `config`.
pub(super) fn fitted(weights: WeightFile, parameters: &[Parameter], config: &Config) -> WeightFile {
    let wanted = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    weights.fitted(&wanted).renamed(config.names)
}
