//! Opens pictures, codes and recipes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::document::{Document, Source};
use crate::app::filters::Filters;
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use residua_core::codes::CodeStack;
use residua_core::error::Error;
use residua_core::text::file_name;
use residua_io::image_io::Picture;
use residua_io::image_io::folder::is_picture;
use residua_io::image_io::framing::Framing;
use residua_protocol::{Command, Condition, Content, Opened, Reading, Recipe, Writing};

use super::State;

impl State {
    /// Encodes the middle of a picture and opens its codes; waits until a model is loaded.
    pub fn open_picture(&mut self, name: &str, picture: Arc<Picture>) {
        self.open_part(name, Source { picture, framing: Framing::Middle });
    }

    /// Encodes part of a picture and opens its codes; waits until a model is loaded.
    pub fn open_part(&mut self, name: &str, source: Source) {
        match self.loaded {
            Some(_) => {
                let encode = Command::Encode(source.picture.clone(), source.framing);
                self.send_for(encode, Purpose::Open(name.into(), source));
            }
            None => self.loading.picture = Some((name.into(), source)),
        }
    }

    /// Encodes another part of the open picture, and replaces the open codes.
    pub fn reframe(&mut self, framing: Framing) {
        let Some(Document { name, source: Some(source), .. }) = &self.document else { return };
        let (name, picture) = (name.clone(), source.picture.clone());
        self.open_part(&name, Source { picture, framing });
    }

    /// Opens codes.
    pub fn open_stack(&mut self, name: &str, stack: Arc<CodeStack>, recipe: Option<&Recipe>) {
        self.open_document(name, stack, None, recipe);
    }

    pub(super) fn open_document(
        &mut self,
        name: &str,
        stack: Arc<CodeStack>,
        pictures: Option<(Arc<Picture>, Source)>,
        recipe: Option<&Recipe>,
    ) {
        if let Some(loaded) = &self.loaded {
            let expected = loaded.rqvae.hparams.code_shape;
            let fits = if stack.shape() == expected {
                stack.validate(&loaded.codebook_sizes)
            } else {
                Err(Error::invalid(format!(
                    "the loaded model needs codes of shape {expected:?}, found {:?}; load the model that made them",
                    stack.shape()
                )))
            };
            if let Err(error) = fits {
                return self.log.add(Level::Error, format!("{name}: {error}"));
            }
            if let Some(maker) = recipe.map(|recipe| &recipe.rqvae)
                && maker.sha256 != loaded.rqvae_id.sha256
            {
                let text = format!(
                    "{name} was made with another RQ-VAE, {}: load it to see the same picture",
                    maker.name
                );
                self.log.add(Level::Warning, text);
            }
        }
        let sampling = recipe.and_then(|recipe| recipe.sampling.as_ref());
        let condition =
            sampling.map_or_else(|| self.presumed_condition(), |sampling| sampling.condition.clone());
        if let Some(usage) = &mut self.found.session_usage {
            usage.add(&stack);
        }
        let (original, source) = pictures.unzip();
        let mut document = Document::new(name, stack, original, condition);
        document.source = source;
        document.recipe = recipe.cloned();
        self.document = Some(document);
        self.give_up_awaiting();
        self.found.neighbours = None;
        self.found.explained = None;
        self.revising.forget_picture();
        self.show();
    }

    /// The condition of a picture without a recipe: none, if the model was trained without as well, else that of new pictures.
    pub(super) fn presumed_condition(&self) -> Condition {
        let stage2 = self.loaded.as_ref().and_then(|loaded| loaded.stage2.as_ref());
        if stage2.is_some_and(|stage2| stage2.config.null_token().is_some()) {
            Condition::Unconditional
        } else {
            self.condition.clone()
        }
    }

    /// Restores a recipe's sampling settings (condition, seed, filters); waits until a model is loaded.
    pub fn restore(&mut self, recipe: &Recipe) {
        let Some(sampling) = &recipe.sampling else { return };
        let Some(loaded) = &self.loaded else {
            self.loading.recipe = Some(recipe.clone());
            return;
        };
        let suits = loaded.stage2.as_ref().is_some_and(|stage2| sampling.condition.suits(&stage2.config));
        let Filters { model, draft, .. } = Filters::published(loaded);
        if !suits || draft.len() != sampling.filters.len() {
            let maker = &sampling.rqtransformer.name;
            let text =
                format!("the recipe needs another kind of model: load {maker}, then restore the recipe");
            return self.log.add(Level::Warning, text);
        }
        self.condition = sampling.condition.clone();
        self.settings.seed = sampling.seed;
        self.settings.seed_locked = true;
        let revise = sampling.schedule.as_ref().map(|schedule| schedule.filters.clone());
        let revise = revise.filter(|filters| *filters != sampling.filters);
        self.settings.filters = Some(Filters { model, draft: sampling.filters.clone(), revise });
        self.log.add(Level::Note, format!("recipe restored: seed {}", sampling.seed));
    }

    /// Opens the file or folder at `path` by its extension: pictures and codes, and anything else as a model.
    pub fn open_path(&mut self, path: &Path) {
        let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        if is_npy || is_picture(path) {
            self.read(Reading::File(path.into()));
        } else {
            self.load(&path.display().to_string(), self.named_rqvae());
        }
    }

    /// Reads files; the result goes to the usual place.
    pub fn read(&mut self, reading: Reading) {
        self.send(Command::Read(reading));
    }

    /// Writes a file.
    pub fn write(&mut self, path: &Path, writing: Writing) {
        self.send(Command::Write(path.into(), writing));
    }

    /// Opens what a file holds, and restores its recipe.
    pub(super) fn take_opened(&mut self, Opened { path, content, recipe }: Opened) {
        let name = file_name(&path);
        match content {
            Content::Codes(stack) => self.open_stack(&name, stack, recipe.as_deref()),
            Content::Picture(picture) => self.open_picture(&name, picture),
        }
        if let Some(recipe) = recipe {
            self.restore(&recipe);
        }
    }

    /// Counts the codes of a folder's pictures.
    pub fn count_folder(&mut self, folder: PathBuf) {
        self.send(Command::Usage(folder));
    }
}
