//! Handles the start and the loss of a browser page's worker.

use super::State;
use crate::app::captions::Captions;
use crate::app::choices::Choices;
use crate::app::log::Level;
use crate::app::patches::Patches;
use residua_protocol::Ready;

impl State {
    /// Records where a new worker runs the models.
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

    /// Handles the loss of the worker: logs the reason, and loads the model again in the next worker. The
    /// document stays open.
    pub fn lost(&mut self, reason: &str) {
        let lost = self.engine.lose_all("the models' worker was lost");
        let jobs: Vec<_> = lost.into_iter().filter_map(|message| self.jobs.remove(message.job)).collect();
        self.previews.clear();
        self.patches = Patches::default();
        self.choices = Choices::default();
        self.captions = Captions::default();
        let sampled = jobs.iter().any(|job| job.label == "sampling");
        let ended = if sampled { "; start sampling again" } else { "" };
        self.log.add(Level::Warning, format!("{reason}; reloading the model{ended}"));
        self.reloads = true;
        let (model, rqvae) = (self.settings.model.clone(), self.settings.rqvae.clone());
        self.load(&model, rqvae);
    }
}
