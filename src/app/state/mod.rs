//! The state behind the panels: the open document, the loaded models, the running jobs. What a panel only shows, such as its
//! zoom or a text being typed, is in the panel's own view.

mod answers;
mod gallery;
mod looking;
mod masking;
mod opening;
mod remote;
mod revising;
mod sampling;
#[cfg(not(target_family = "wasm"))]
mod training;

pub use looking::Browsed;
pub use revising::Revising;

use std::sync::Arc;

use eframe::egui::Context;

use crate::app::captions::Captions;
use crate::app::choices::Choices;
#[cfg(not(target_family = "wasm"))]
use crate::app::dialogs::Dialogs;
use crate::app::document::{Document, Source};
use crate::app::gallery::Gallery;
use crate::app::jobs::{Jobs, Purpose};
use crate::app::log::Log;
use crate::app::patches::Patches;
use crate::app::settings::Settings;
use crate::app::stored::Stored;
use crate::app::tool::Tool;
#[cfg(not(target_family = "wasm"))]
use crate::app::training::Training;
use residua_core::trust::{Checked, checked_since};
use residua_io::image_io::Picture;
use residua_metrics::Usage;
use residua_protocol::explanation::Explanation;
use residua_protocol::{Command, Condition, Engine, JobId, Loaded, Neighbours, Recipe};

/// Label of the jobs that decode the open stack.
const DECODING: &str = "decoding";

/// Label of the jobs that decode single codes.
const PATCHES: &str = "decoding codes";

/// Label of the jobs that preview alternative codes at the pinned position.
const CHOICES: &str = "decoding choices";

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
    /// Whether the layers of the open document wait until the models are idle.
    layers_wait: bool,
    /// A picture to encode once a model is loaded, with its name.
    waiting: Option<(String, Source)>,
    /// The pictures of this session.
    pub gallery: Gallery,
    /// The condition for new pictures.
    pub condition: Condition,
    /// How the tokenizer reads the captions on screen.
    captions: Captions,
    /// A recipe to restore once a model is loaded.
    waiting_recipe: Option<Recipe>,
    /// Previews of the pictures being sampled.
    pub previews: Vec<Arc<Picture>>,
    /// Codes near the pinned one.
    pub neighbours: Option<Arc<Neighbours>>,
    /// Pictures of single codes.
    pub patches: Patches,
    /// Previews of alternative codes at the pinned position.
    pub choices: Choices,
    /// Settings and progress of cell revision.
    pub revising: Revising,
    /// What the pointer does to the picture's cells.
    pub tool: Tool,
    /// The transformer's distribution at a position (row, column, depth).
    pub explained: Option<([usize; 3], Arc<Explanation>)>,
    /// The code that is looked up in the codebook.
    pub browsed: Option<Browsed>,
    /// Code usage of the stacks opened or sampled in this session.
    pub session_usage: Option<Usage>,
    /// Code usage of a folder's pictures.
    pub folder_usage: Option<Arc<Usage>>,
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// The graphics adapter and its limits, or why the models run on the CPU, if known.
    pub adapter: Option<String>,
    /// Results of the GPU kernel checks.
    pub kernel_checks: Vec<Checked>,
    /// The last requested model.
    asked: String,
    /// The bundled model whose RQ-Transformer is still to come, after its RQ-VAE.
    coming: Option<&'static str>,
    /// Whether the loading model replaces one lost with its worker.
    reloads: bool,
    /// Memory of the models' worker, in bytes, if it shares none with the window.
    pub models_memory: u64,
    /// Models in the browser's storage.
    pub stored: Vec<Stored>,
    /// Path, name or address of the RQ-VAE of the transformers to load; empty if they name it themselves.
    pub rqvae: String,
    /// Why the last load failed.
    pub load_failure: Option<String>,
    /// The answers of open file dialogs.
    #[cfg(not(target_family = "wasm"))]
    pub dialogs: Dialogs<Self>,
    /// The training run.
    #[cfg(not(target_family = "wasm"))]
    pub training: Training,
    /// Whether the models share the window's graphics device, so that it can draw pictures from their
    /// buffers.
    pub draws_on_device: bool,
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
            layers_wait: false,
            waiting: None,
            gallery: Gallery::default(),
            condition: Condition::Unconditional,
            captions: Captions::default(),
            waiting_recipe: None,
            previews: Vec::new(),
            neighbours: None,
            patches: Patches::default(),
            choices: Choices::default(),
            revising: Revising::default(),
            tool: Tool::default(),
            explained: None,
            browsed: None,
            session_usage: None,
            folder_usage: None,
            device,
            adapter: None,
            kernel_checks: Vec::new(),
            asked: String::new(),
            coming: None,
            reloads: false,
            models_memory: 0,
            stored: Vec::new(),
            rqvae: String::new(),
            load_failure: None,
            #[cfg(not(target_family = "wasm"))]
            dialogs: Dialogs::new(ctx.clone()),
            #[cfg(not(target_family = "wasm"))]
            training: Training::default(),
            draws_on_device: false,
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
        self.patches.give_up();
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
        self.kernel_checks.extend(checked_since(self.kernel_checks.len()));
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
