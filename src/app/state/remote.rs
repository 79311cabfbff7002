//! Handles the start of the models' side, and in a browser the loss of its worker.

use super::State;
use crate::app::captions::Captions;
use crate::app::choices::Choices;
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use crate::app::patches::Patches;
use residua_core::trust::Checked;
use residua_protocol::Ready;

/// Jobs that a lost worker does not repeat, and what to do about them.
const LOST: [(&str, &str); 3] = [
    ("sampling", "; start sampling again"),
    ("opening", "; open the file again"),
    ("saving", "; save the file again"),
];

/// The device that the models run on.
pub struct Device {
    /// `cpu` or `gpu`.
    pub kind: &'static str,
    /// The graphics adapter and its limits, or why the models run on the CPU, if known.
    pub adapter: Option<String>,
    /// Results of the GPU kernel checks.
    pub kernel_checks: Vec<Checked>,
    /// Memory of the models' worker, in bytes, if it shares none with the window.
    pub memory: u64,
    /// Whether the window draws with it, too, so that it can draw pictures from the models' buffers.
    pub draws: bool,
}

impl Device {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, adapter: None, kernel_checks: Vec::new(), memory: 0, draws: false }
    }
}

impl State {
    /// Records where the models run, and why.
    pub fn ready(&mut self, ready: Ready) {
        let Ready { device, said, lacking } = ready;
        self.device.kernel_checks.clear();
        self.device.kind = if device == "gpu" { "gpu" } else { "cpu" };
        let (level, slower) = if lacking { (Level::Warning, ", which is slower") } else { (Level::Note, "") };
        self.log
            .add(level, format!("the models run on the {}{slower}: {said}", self.device.kind.to_uppercase()));
        self.device.adapter = Some(said);
    }

    /// Handles the loss of the worker: logs the reason, and loads the model again in the next worker. The
    /// document stays open, and a picture that was about to replace it still does.
    pub fn lost(&mut self, reason: &str) {
        let lost = self.engine.lose_all("the models' worker was lost");
        let jobs: Vec<_> = lost.into_iter().filter_map(|message| self.jobs.remove(message.job)).collect();
        let opening = jobs.iter().find_map(|job| match &job.purpose {
            Purpose::Open(name, source) => Some((name.clone(), source.clone())),
            _ => None,
        });
        let was_read = opening.is_some();
        self.loading.picture = opening.or_else(|| self.loading.picture.take());
        self.give_up_revising();
        self.revising.forget_surprise();
        self.previews.clear();
        self.found.patches = Patches::default();
        self.found.choices = Choices::default();
        self.found.captions = Captions::default();
        // A picture that has been read is not read again.
        let is_kept = |label: &str| label == "opening" && was_read;
        let is_lost = |label: &str| !is_kept(label) && jobs.iter().any(|job| job.label == label);
        let lost = LOST.iter().filter(|(label, _)| is_lost(label));
        let again: String = lost.map(|(_, again)| *again).collect();
        self.log.add(Level::Warning, format!("{reason}; reloading the model{again}"));
        self.loading.reloads = true;
        // The settings have no model that lasts only as long as the page.
        let (model, rqvae) = match (self.loading.coming, &self.loaded) {
            (Some(model), _) => (model.into(), None),
            (None, Some(loaded)) => (loaded.name.clone(), loaded.rqvae_place.clone()),
            (None, None) => (self.settings.model.clone(), self.settings.rqvae.clone()),
        };
        self.load(&model, rqvae);
    }
}
