//! All that the panels show and change: what is open, what is loaded, what is under way. The panels hold nothing that
//! matters; tests drive the studio through them and read its state here.

mod answers;
mod looking;
mod opening;
mod remote;
mod revising;
mod sampling;

pub use answers::published_filters;
pub use revising::Revising;

use std::sync::Arc;

use eframe::egui::Context;

use crate::app::choices::Choices;
#[cfg(not(target_family = "wasm"))]
use crate::app::dialogs::{self, Dialogs};
use crate::app::document::{Document, Source};
use crate::app::gallery::Gallery;
use crate::app::jobs::{Jobs, Purpose};
use crate::app::log::Log;
use crate::app::panels::codebook::CodebookView;
use crate::app::panels::codes::CodesView;
use crate::app::panels::log::LogView;
use crate::app::panels::models::ModelsView;
use crate::app::panels::picture::PictureView;
#[cfg(not(target_family = "wasm"))]
use crate::app::panels::train::TrainView;
use crate::app::panels::{GalleryView, GenerateView};
use crate::app::patches::Patches;
use crate::app::settings::Settings;
use crate::app::stored::Stored;
use crate::app::textures::Textures;
use crate::engine::explanation::Explanation;
use crate::engine::studio::{Command, Engine, JobId, Loaded, Neighbours};
use crate::engine::{Condition, Recipe};
use crate::generate::Filter;
use crate::image_io::Picture;
use crate::metrics::Usage;
use crate::trust::{Checked, checked_since};

/// What a job is called that decodes single codes.
const PATCHES: &str = "decoding codes";

/// What a job is called that decodes other codes at the pinned place.
const CHOICES: &str = "decoding choices";

/// How many neighbours and suggestions are asked for.
pub const SUGGESTIONS: usize = 8;

/// The studio's state.
pub struct State {
    /// Where commands go.
    engine: Engine,
    /// What is under way.
    pub jobs: Jobs,
    /// What happened.
    pub log: Log,
    /// What is remembered.
    pub settings: Settings,
    /// What is loaded.
    pub loaded: Option<Arc<Loaded>>,
    /// What is open.
    pub document: Option<Document>,
    /// A picture that is to be encoded as soon as a model is loaded, with its name.
    waiting: Option<(String, Source)>,
    /// The pictures of this session.
    pub gallery: Gallery,
    /// Uploaded pictures.
    pub textures: Textures,
    /// What pictures are made from.
    pub condition: Condition,
    /// How codes are drawn, one filter a depth.
    pub filters: Vec<Filter>,
    /// Where the person is in the panel "Generate".
    pub generate_view: GenerateView,
    /// Where the person is in the panel "Gallery".
    pub gallery_view: GalleryView,
    /// A recipe that is to be restored as soon as a model is loaded.
    waiting_recipe: Option<Recipe>,
    /// Pictures that grow.
    pub previews: Vec<Arc<Picture>>,
    /// Codes near the pinned one.
    pub neighbours: Option<Arc<Neighbours>>,
    /// What codes look like.
    pub patches: Patches,
    /// What codes would do at the pinned place.
    pub choices: Choices,
    /// How cells are revised.
    pub revising: Revising,
    /// How the canvas is set.
    pub picture_view: PictureView,
    /// How the panel "Codes" is set.
    pub codes_view: CodesView,
    /// The distribution at a place.
    pub explained: Option<([usize; 3], Arc<Explanation>)>,
    /// Which codes the pictures that were open in this session use.
    pub session_usage: Option<Usage>,
    /// Which codes a folder's pictures use.
    pub folder_usage: Option<Arc<Usage>>,
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// The GPU that the models run on, if they do.
    pub adapter: Option<String>,
    /// What the check of the GPU kernels found.
    pub kernel_checks: Vec<Checked>,
    /// The model that was asked for last.
    asked: String,
    /// Whether the model that is being loaded is the one that was lost.
    reloads: bool,
    /// Bytes of memory that the models' worker has, where it shares none with the window.
    pub models_memory: u64,
    /// Models that the browser keeps.
    pub stored: Vec<Stored>,
    /// What is typed and why the last load failed.
    pub models_view: ModelsView,
    /// The answers of open file dialogs.
    #[cfg(not(target_family = "wasm"))]
    pub dialogs: Dialogs,
    /// The training run.
    #[cfg(not(target_family = "wasm"))]
    pub train_view: TrainView,
    /// What of the codebook is looked at.
    pub codebook_view: CodebookView,
    /// What the log panel measured.
    pub log_view: LogView,
    /// Whether the models run on the window's own graphics device, so that it can draw what they made where that lies.
    pub draws_on_device: bool,
}

impl State {
    /// Nothing open yet, in the window of `ctx`.
    #[cfg_attr(target_family = "wasm", expect(unused_variables))]
    pub fn new(ctx: &Context, engine: Engine, settings: Settings, device: &'static str) -> Self {
        Self {
            engine,
            jobs: Jobs::default(),
            log: Log::default(),
            settings,
            loaded: None,
            document: None,
            waiting: None,
            gallery: Gallery::default(),
            textures: Textures::default(),
            condition: Condition::Unconditional,
            filters: Vec::new(),
            generate_view: GenerateView::default(),
            gallery_view: GalleryView::default(),
            waiting_recipe: None,
            previews: Vec::new(),
            neighbours: None,
            patches: Patches::default(),
            choices: Choices::default(),
            revising: Revising::default(),
            picture_view: PictureView::default(),
            codes_view: CodesView::default(),
            explained: None,
            session_usage: None,
            folder_usage: None,
            device,
            adapter: None,
            kernel_checks: Vec::new(),
            asked: String::new(),
            reloads: false,
            models_memory: 0,
            stored: Vec::new(),
            models_view: ModelsView::default(),
            #[cfg(not(target_family = "wasm"))]
            dialogs: Dialogs::new(ctx.clone()),
            #[cfg(not(target_family = "wasm"))]
            train_view: TrainView::default(),
            codebook_view: CodebookView::default(),
            log_view: LogView::default(),
            draws_on_device: false,
        }
    }

    /// Sends a command whose result goes where results of its kind go.
    pub fn send(&mut self, command: Command) -> JobId {
        self.send_for(command, Purpose::Usual)
    }

    /// Sends a command for a purpose of its own.
    pub fn send_for(&mut self, command: Command, purpose: Purpose) -> JobId {
        let label = command.label();
        let id = self.engine.send(command);
        self.jobs.add(id, label, purpose);
        id
    }

    /// Ends everything that is under way; what is whole stays.
    pub fn cancel(&mut self) {
        self.patches.give_up();
        self.engine.stop_all();
    }

    /// Ends one job.
    pub fn stop(&mut self, id: JobId) {
        self.engine.stop(id);
    }

    /// Whether anything is under way.
    pub fn is_busy(&self) -> bool {
        self.engine.is_busy()
    }

    /// Takes in what the engine and the file dialogs have answered.
    pub fn receive(&mut self) {
        self.log.collect();
        self.kernel_checks.extend(checked_since(self.kernel_checks.len()));
        #[cfg(not(target_family = "wasm"))]
        dialogs::receive(self);
        while let Some(message) = self.engine.receive() {
            self.take(message);
        }
    }

    /// Waits for the next answer and takes it in; for tests. Whether there was one.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&mut self) -> bool {
        let message = self.engine.wait();
        message.map(|message| self.take(message)).is_some()
    }

    /// The texture of a picture.
    pub fn texture(&mut self, ctx: &Context, picture: &Arc<Picture>) -> eframe::egui::TextureHandle {
        self.textures.get(ctx, picture)
    }

    /// Forgets what was uploaded to a context that is no more.
    pub fn forget_textures(&mut self) {
        self.textures = Textures::default();
        self.picture_view.forget_textures();
    }

    /// How the open stack was made: as its file says, or once it is changed, by hand.
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
