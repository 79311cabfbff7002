//! Loads models, and begins with those that are loaded.

use std::sync::Arc;

use crate::app::document::{Document, Source};
use crate::app::log::Level;
use residua_core::config::{ConditionKind, Precision, StateKind};
use residua_io::assets::bundled::{self, BUNDLED, Bundled};
use residua_metrics::Usage;
use residua_protocol::condition::of_caption;
use residua_protocol::{Command, Condition, Loaded, Options, Recipe};

use super::{Found, Revising, State};

/// What is loaded at the moment, and what waits for it.
#[derive(Default)]
pub struct Loading {
    /// Path, name or address of the RQ-VAE of the transformers to load; empty if they name it themselves.
    pub rqvae: String,
    /// Why the last load failed.
    pub failure: Option<String>,
    /// The last requested model.
    asked: String,
    /// The bundled model whose RQ-Transformer is still to come, after its RQ-VAE.
    pub(super) coming: Option<&'static str>,
    /// Whether the loading model replaces one lost with its worker.
    pub(super) reloads: bool,
    /// A picture to encode once a model is loaded, with its name.
    pub(super) picture: Option<(String, Source)>,
    /// A recipe to restore once a model is loaded.
    pub(super) recipe: Option<Recipe>,
}

impl State {
    /// Loads a model by name or path, with stage 1 from `rqvae` if given.
    pub fn load(&mut self, model: &str, rqvae: Option<String>) {
        self.loading.failure = None;
        self.loading.asked = model.into();
        self.loading.coming = None;
        let options =
            Options { model: model.into(), rqvae, state: StateKind::Auto, precision: Precision::Stored };
        self.send(Command::Load(options));
    }

    /// Loads the RQ-VAE of a bundled model, which is enough to open pictures, and then the whole model. In a page, its files
    /// are fetched meanwhile.
    pub fn load_in_steps(&mut self, model: &'static Bundled) {
        let [rqvae, _] = model.files();
        self.load(&format!("assets/{}", rqvae.path), None);
        self.loading.asked = model.name.into();
        self.loading.coming = Some(model.name);
    }

    /// Loads the rest of the model of which only the RQ-VAE is loaded, once its files are there.
    pub(super) fn load_rest(&mut self) {
        if let Some(model) = self.loading.coming {
            self.load(model, None);
            self.loading.coming = Some(model);
        }
    }

    /// Whether an RQ-Transformer is being loaded after its RQ-VAE.
    pub fn is_coming(&self) -> bool {
        self.loading.coming.is_some()
    }

    /// Why nothing can be sampled with the loaded models; `None` if it can.
    pub fn lacks_transformer(&self) -> Option<&'static str> {
        match (&self.loaded, self.loading.coming) {
            (Some(loaded), _) if loaded.stage2.is_some() => None,
            (_, Some(_)) => Some("The RQ-Transformer is being loaded."),
            (None, None) => Some("No model is loaded yet: choose one in Models."),
            (Some(_), None) => Some("This model has no RQ-Transformer: load one in Models."),
        }
    }

    /// The RQ-VAE to load a transformer with, if the user named one.
    pub fn named_rqvae(&self) -> Option<String> {
        let named = self.loading.rqvae.trim();
        (!named.is_empty()).then(|| named.into())
    }

    /// Loads the default model if another model failed to load and none is loaded.
    pub(super) fn load_default(&mut self) {
        let default = BUNDLED[0].name;
        if self.loaded.is_none() && self.loading.asked != default {
            self.load(default, None);
        }
    }

    /// Takes in loaded models. Opens what waits for them, or what is open already.
    pub(super) fn take_models(&mut self, loaded: Arc<Loaded>) {
        match self.loading.coming {
            Some(model) if loaded.stage2.is_none() => {
                self.send(Command::Fetch(model.into()));
            }
            _ => {
                self.loading.coming = None;
                self.log.add(Level::Note, format!("{} is loaded", loaded.name));
                self.settings.opened(&loaded.name, loaded.rqvae_place.as_deref());
            }
        }
        self.loading.failure = None;
        let again = std::mem::take(&mut self.loading.reloads);
        let before = self.loaded.replace(loaded.clone());
        if !(again && before.as_ref().is_some_and(|before| before.name == loaded.name)) {
            self.begin_with(&loaded);
        }
        let same = before.is_some_and(|before| before.rqvae_id.sha256 == loaded.rqvae_id.sha256);
        // Another model's codes are meaningless to this one, but it can encode the picture.
        let fits = |document: &Document| document.stack().shape() == loaded.rqvae.hparams.code_shape;
        match self.document.take() {
            Some(document) if same => self.keep_open(document),
            Some(Document { name, source: Some(source), .. }) => {
                self.loading.picture.get_or_insert((name, source));
            }
            Some(mut document) if fits(&document) => {
                document.forget_decoded();
                self.keep_open(document);
            }
            _ => (),
        }
        if let Some((name, source)) = self.loading.picture.take() {
            self.open_part(&name, source);
        }
        if let Some(recipe) = self.loading.recipe.take() {
            self.restore(&recipe);
        }
    }

    /// Keeps the document open, and requests its picture and previews again. Its surprise was that of the models before, and
    /// so may be its condition.
    fn keep_open(&mut self, mut document: Document) {
        document.surprise = None;
        let stage2 = self.loaded.as_ref().and_then(|loaded| loaded.stage2.as_ref());
        if stage2.is_some_and(|stage2| !document.condition.suits(&stage2.config)) {
            document.condition = self.presumed_condition();
        }
        self.document = Some(document);
        self.show();
        self.look_at_pinned();
    }

    /// Resets all settings and results that depend on the model.
    fn begin_with(&mut self, loaded: &Loaded) {
        self.condition = match &loaded.stage2 {
            Some(stage2) => match stage2.config.condition() {
                ConditionKind::Unconditional => Condition::Unconditional,
                ConditionKind::Class => {
                    Condition::Class(stage2.config.classes.first().cloned().unwrap_or_else(|| "0".into()))
                }
                ConditionKind::Text => {
                    let example = bundled::find(&loaded.name).map_or("", |bundled| bundled.caption);
                    of_caption(example, &stage2.config)
                }
            },
            None => Condition::Unconditional,
        };
        let session_usage = Some(Usage::new(&loaded.codebook_sizes));
        self.found = Found { session_usage, ..Found::default() };
        self.revising = Revising::default();
    }
}
