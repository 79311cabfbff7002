//! What the worker of a browser page says of itself.

use super::State;
use crate::app::choices::Choices;
use crate::app::log::Level;
use crate::app::patches::Patches;
use crate::engine::studio::Ready;

impl State {
    /// A worker has begun.
    pub fn ready(&mut self, ready: Ready) {
        let Ready { device, said, lacking, kernels } = ready;
        self.kernel_checks = kernels;
        self.device = if device == "gpu" { "gpu" } else { "cpu" };
        let (level, slower) = match lacking {
            true => (Level::Warning, ", which is slower"),
            false => (Level::Note, ""),
        };
        self.log.add(level, format!("the models run on the {}{slower}: {said}", self.device.to_uppercase()));
        self.adapter = Some(said);
    }

    /// The worker is gone, for a reason; another one begins, and gets the model again. What is open stays.
    pub fn lost(&mut self, reason: &str) {
        let lost = self.engine.lose_all("the models' worker was lost");
        let jobs: Vec<_> = lost.into_iter().filter_map(|message| self.jobs.remove(message.job)).collect();
        self.previews.clear();
        self.patches = Patches::default();
        self.choices = Choices::default();
        let sampled = jobs.iter().any(|job| job.label == "sampling");
        let ended = if sampled { ", sampling has to be begun again" } else { "" };
        self.log.add(Level::Warning, format!("{reason}; the model is loaded again{ended}"));
        self.reloads = true;
        let (model, rqvae) = (self.settings.model.clone(), self.settings.rqvae.clone());
        self.load(&model, rqvae);
    }
}
