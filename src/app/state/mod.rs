//! The state behind the panels: the open document, the loaded models, the running jobs. What a panel only shows, such as its
//! zoom or a text being typed, is in the panel's own view.

mod answers;
mod found;
mod gallery;
mod loading;
mod looking;
mod masking;
mod opening;
mod remote;
mod revising;
mod sampling;
#[cfg(not(target_family = "wasm"))]
mod training;

pub use found::{Browsed, Found};
pub use loading::Loading;
pub use remote::Device;
pub use revising::Revising;

use std::sync::Arc;

use eframe::egui::Context;

#[cfg(not(target_family = "wasm"))]
use crate::app::dialogs::Dialogs;
use crate::app::document::Document;
use crate::app::gallery::Gallery;
use crate::app::jobs::{Jobs, Purpose};
use crate::app::log::Log;
use crate::app::settings::Settings;
use crate::app::stored::Stored;
use crate::app::tool::Tool;
#[cfg(not(target_family = "wasm"))]
use crate::app::training::Training;
use residua_core::trust::checked_since;
use residua_io::image_io::Picture;
use residua_protocol::{Command, Condition, Engine, JobId, Loaded, Recipe};

/// Label of the jobs that decode the open stack.
const DECODING: &str = "decoding";

/// Label of the jobs that decode single codes.
const PATCHES: &str = "decoding codes";

/// Label of the jobs that preview alternative codes at the pinned position.
const CHOICES: &str = "decoding choices";

/// Label of the jobs that measure how unlikely the open codes are.
const SURPRISE: &str = "measuring surprise";

/// Label of the jobs that count the tokens of a caption.
const COUNTING: &str = "counting tokens";

/// Label of the jobs that look whether a folder has a training run.
const RUNS: &str = "looking at";

/// Labels of the jobs that load a model.
pub const LOADING: [&str; 2] = ["loading", "fetching"];

/// Number of neighbours and of suggestions to request.
pub const SUGGESTIONS: usize = 8;

/// The studio's state.
pub struct State {
    /// Runs the commands.
    engine: Engine,
    /// Queued and running jobs.
    pub jobs: Jobs,
    /// The log.
    pub log: Log,
    /// Settings, kept between sessions.
    pub settings: Settings,
    /// The loaded models.
    pub loaded: Option<Arc<Loaded>>,
    /// The open document.
    pub document: Option<Document>,
    /// What is loaded at the moment, and what waits for it.
    pub loading: Loading,
    /// What the models have found out.
    pub found: Found,
    /// Whether the layers of the open document wait until the models are idle.
    layers_wait: bool,
    /// What to do once the current state of the open document is decoded.
    awaiting: Vec<fn(&mut Self)>,
    /// The pictures of this session.
    pub gallery: Gallery,
    /// The condition for new pictures.
    pub condition: Condition,
    /// Previews of the pictures being sampled.
    pub previews: Vec<Arc<Picture>>,
    /// Settings and progress of cell revision.
    pub revising: Revising,
    /// What the pointer does to the picture's cells.
    pub tool: Tool,
    /// The device of the models.
    pub device: Device,
    /// Models in the browser's storage.
    pub stored: Vec<Stored>,
    /// The answers of open file dialogs.
    #[cfg(not(target_family = "wasm"))]
    pub dialogs: Dialogs<Self>,
    /// The training run.
    #[cfg(not(target_family = "wasm"))]
    pub training: Training,
}

impl State {
    /// An empty studio in the window of `ctx`.
    #[cfg_attr(target_family = "wasm", expect(unused_variables))]
    pub fn new(ctx: &Context, engine: Engine, settings: Settings, device: &'static str) -> Self {
        Self {
            engine,
            jobs: Jobs::default(),
            log: Log::default(),
            settings,
            loaded: None,
            document: None,
            loading: Loading::default(),
            found: Found::default(),
            layers_wait: false,
            awaiting: Vec::new(),
            gallery: Gallery::default(),
            condition: Condition::Unconditional,
            previews: Vec::new(),
            revising: Revising::default(),
            tool: Tool::default(),
            device: Device::new(device),
            stored: Vec::new(),
            #[cfg(not(target_family = "wasm"))]
            dialogs: Dialogs::new(ctx.clone()),
            #[cfg(not(target_family = "wasm"))]
            training: Training::default(),
        }
    }

    /// Sends a command; its result goes to the usual place.
    pub fn send(&mut self, command: Command) -> JobId {
        self.send_for(command, Purpose::Usual)
    }

    /// Sends a command; its result goes where `purpose` says.
    pub fn send_for(&mut self, command: Command, purpose: Purpose) -> JobId {
        let about = (command.label(), command.file());
        let id = self.engine.send(command);
        self.jobs.add(id, about, purpose);
        id
    }

    /// Stops all jobs but those that save files; keeps finished results.
    pub fn cancel(&mut self) {
        self.give_up_revising();
        self.found.patches.give_up();
        self.engine.stop_all();
    }

    /// Stops one job.
    pub fn stop(&mut self, id: JobId) {
        self.engine.stop(id);
    }

    /// Whether any job is queued or running.
    pub fn is_busy(&self) -> bool {
        self.engine.is_busy()
    }

    /// Handles new answers of the engine and the file dialogs.
    pub fn receive(&mut self) {
        self.log.collect();
        self.device.kernel_checks.extend(checked_since(self.device.kernel_checks.len()));
        #[cfg(not(target_family = "wasm"))]
        {
            while let Some((then, path)) = self.dialogs.answer() {
                then(self, &path);
            }
            self.training.receive();
        }
        while let Some(message) = self.engine.receive() {
            self.take(message);
        }
    }

    /// Waits for the next answer and handles it, for tests. Returns whether there was one.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&mut self) -> bool {
        let message = self.engine.wait();
        message.map(|message| self.take(message)).is_some()
    }

    /// How the open stack was made: its file's recipe, or an edit once it has changed.
    pub fn recipe(&self) -> Option<Recipe> {
        let document = self.document.as_ref()?;
        match &document.recipe {
            Some(recipe) if document.stack() == document.opened() => Some(recipe.clone()),
            _ => {
                let made_by = if document.stack() == document.opened() { "reconstruct" } else { "edit" };
                Some(Recipe::new(made_by, self.loaded.as_ref()?.rqvae_id.clone(), None))
            }
        }
    }
}
