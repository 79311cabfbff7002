//! All that the panels show and change: what is open, what is loaded, what is under way. The panels hold nothing that
//! matters; tests drive the studio through them and read its state here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::Context;

use super::document::{Document, Source};
use super::gallery::{Gallery, Item, Origin};
use super::jobs::{Jobs, Purpose};
use super::log::{Level, Log};
use super::panels::codebook::CodebookView;
use super::panels::image::ImageView;
use super::panels::log::LogView;
use super::panels::models::ModelsView;
use super::panels::stack::StackView;
use super::panels::{GalleryView, GenerateView};
use super::patches::Patches;
use super::settings::Settings;
use super::textures::Textures;
use crate::checkpoint::{Precision, StateKind};
use crate::codes::CodeStack;
use crate::engine::explain::Explanation;
use crate::engine::start::checked;
use crate::engine::studio::{
    Command, Engine, Event, JobId, Loaded, Made, Message, Neighbours, Output, SamplePlan, Usage,
};
use crate::engine::{Condition, Options, Recipe};
use crate::error::{Error, Result};
use crate::generate::{Filter, Forced};
use crate::image_io::Picture;
use crate::image_io::framing::Framing;
use crate::kernels::check::Checked;
use crate::model::rqtransformer::ConditionKind;

/// What a job is called that decodes single codes.
const PATCHES: &str = "decoding codes";

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
    /// How the code stack's panel is set.
    pub stack_view: StackView,
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
    /// What is typed and why the last load failed.
    pub models_view: ModelsView,
    /// What of the codebook is looked at.
    pub codebook_view: CodebookView,
    /// What the log panel measured.
    pub log_view: LogView,
    /// Whether the models run on the window's own graphics device, so that it can draw what they made where that lies.
    pub draws_on_device: bool,
    /// How the image panel shows the picture.
    pub image_view: ImageView,
}

impl State {
    /// Nothing open yet.
    pub fn new(engine: Engine, settings: Settings, device: &'static str) -> Self {
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
            stack_view: StackView::default(),
            explained: None,
            session_usage: None,
            folder_usage: None,
            device,
            adapter: None,
            kernel_checks: Vec::new(),
            models_view: ModelsView::default(),
            codebook_view: CodebookView::default(),
            log_view: LogView::default(),
            draws_on_device: false,
            image_view: ImageView::default(),
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

    /// Takes in all that the engine has answered.
    pub fn receive(&mut self) {
        self.log.collect();
        if self.kernel_checks.len() < checked().len() {
            self.kernel_checks = checked().to_vec();
        }
        while let Some(message) = self.engine.receive() {
            self.take(message);
        }
    }

    /// Waits for the next answer and takes it in; for tests. Whether there was one.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(&mut self) -> bool {
        let message = self.engine.wait();
        message.map(|message| self.take(message)).is_some()
    }

    fn take(&mut self, Message { job, event }: Message) {
        match event {
            Event::Begun(_) => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.begun = Some(web_time::Instant::now());
                }
            }
            Event::Progress(done, total) => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.progress = Some((done, total));
                }
            }
            Event::Output(output) => {
                let purpose = self.jobs.get_mut(job).map_or(Purpose::Usual, |job| job.purpose.clone());
                self.accept(output, purpose);
            }
            Event::Done(_) | Event::Failed(_) | Event::Cancelled => self.end(job, event),
        }
    }

    fn end(&mut self, job: JobId, event: Event) {
        let Some(job) = self.jobs.remove(job) else { return };
        if job.label == "sampling" {
            self.previews.clear();
        }
        if job.label == PATCHES {
            self.patches.over();
            self.ask_for_patches();
        }
        match event {
            Event::Done(milliseconds) => {
                self.log.times.insert(job.label, milliseconds);
            }
            Event::Failed(reason) => {
                if job.label == "loading" {
                    self.models_view.failure = Some(reason.clone());
                }
                self.log.add(Level::Error, reason);
            }
            _ if job.begun.is_some() && !["decoding", PATCHES].contains(&job.label) => {
                self.log.add(Level::Note, format!("{} was stopped", job.label));
            }
            _ => (),
        }
    }

    fn accept(&mut self, output: Output, purpose: Purpose) {
        match (output, purpose) {
            (Output::Loaded(loaded), _) => self.take_models(loaded),
            (Output::Encoded(encoded), Purpose::Open(name, source)) => {
                let pictures = Some((encoded.original.clone(), source));
                self.open_document(&name, encoded.stack.clone(), pictures, None);
            }
            (Output::Encoded(_), _) => (),
            (Output::Seen(seen), _) => {
                if let Some(document) = self.document_of(&seen.stack) {
                    document.seen = Some(seen);
                }
            }
            (Output::Layers(layers), _) => {
                if let Some(document) = self.document_of(&layers.stack) {
                    document.layers = Some(layers);
                }
            }
            (Output::Neighbours(neighbours), purpose) => {
                let codes = neighbours.nearest.iter().map(|(code, _)| *code).collect();
                self.need_patches(neighbours.depth, codes);
                match purpose {
                    Purpose::Browse => self.codebook_view.neighbours = Some(neighbours),
                    _ => self.neighbours = Some(neighbours),
                }
            }
            (Output::Patches(patches), _) => self.patches.learn(&patches),
            (Output::Explained { place, explanation }, _) => {
                let codes = explanation.suggestions.iter().map(|suggestion| suggestion.code).collect();
                self.need_patches(place[2], codes);
                self.explained = Some((place, explanation));
            }
            (Output::Surprise(surprise), _) => {
                let same = |document: &&mut Document| document.condition == surprise.condition;
                if let Some(document) = self.document_of(&surprise.stack).filter(same) {
                    document.surprise = Some(surprise);
                }
            }
            (Output::Preview(pictures), _) => self.previews = pictures,
            (Output::Sampled(made), Purpose::Replace) => self.replace(made),
            (Output::Sampled(made), purpose) => self.collect(made, purpose),
            (Output::Usage(usage), _) => {
                self.codebook_view.counted();
                self.folder_usage = Some(usage);
            }
        }
    }

    fn document_of(&mut self, stack: &Arc<CodeStack>) -> Option<&mut Document> {
        self.document.as_mut().filter(|document| Arc::ptr_eq(document.stack(), stack))
    }

    fn take_models(&mut self, loaded: Arc<Loaded>) {
        self.log.add(Level::Note, format!("{} is loaded", loaded.name));
        self.settings.opened(&loaded.name);
        self.condition = match &loaded.stage2 {
            Some(stage2) => match stage2.config.condition() {
                ConditionKind::Unconditional => Condition::Unconditional,
                ConditionKind::Class => {
                    Condition::Class(stage2.config.classes.first().cloned().unwrap_or_else(|| "0".into()))
                }
                ConditionKind::Text => Condition::Prompt(String::new()),
            },
            None => Condition::Unconditional,
        };
        self.filters = published_filters(&loaded);
        self.session_usage = Some(Usage::new(&loaded.codebook_sizes));
        self.folder_usage = None;
        self.neighbours = None;
        self.explained = None;
        self.patches = Patches::default();
        self.codebook_view = CodebookView::default();
        self.models_view.failure = None;
        self.loaded = Some(loaded.clone());
        // A stack of another model means nothing to this one; its picture does.
        let fits = |document: &Document| document.stack().shape() == loaded.rqvae.hparams.code_shape;
        match self.document.take() {
            Some(Document { name, source: Some(source), .. }) => {
                self.waiting.get_or_insert((name, source));
            }
            Some(document) if fits(&document) => {
                self.document = Some(document);
                self.show();
            }
            _ => (),
        }
        if let Some((name, source)) = self.waiting.take() {
            self.open_part(&name, source);
        }
        if let Some(recipe) = self.waiting_recipe.take() {
            self.restore(&recipe);
        }
    }

    /// Loads the model at a place, with its other stage from elsewhere if that is given.
    pub fn load(&mut self, model: &str, rqvae: Option<String>) {
        self.models_view.failure = None;
        let options =
            Options { model: model.into(), rqvae, state: StateKind::Auto, precision: Precision::Stored };
        self.send(Command::Load(options));
    }

    /// Encodes the middle of a picture and opens its codes; once a model is loaded.
    pub fn open_picture(&mut self, name: &str, picture: Arc<Picture>) {
        self.open_part(name, Source { picture, framing: Framing::Middle });
    }

    /// Encodes a part of a picture and opens its codes; once a model is loaded.
    pub fn open_part(&mut self, name: &str, source: Source) {
        match self.loaded {
            Some(_) => {
                let encode = Command::Encode(source.picture.clone(), source.framing);
                self.send_for(encode, Purpose::Open(name.into(), source));
            }
            None => self.waiting = Some((name.into(), source)),
        }
    }

    /// Encodes another part of the open picture in place of the present one.
    pub fn reframe(&mut self, framing: Framing) {
        let Some(Document { name, source: Some(source), .. }) = &self.document else { return };
        let (name, picture) = (name.clone(), source.picture.clone());
        self.open_part(&name, Source { picture, framing });
    }

    /// Opens codes.
    pub fn open_stack(&mut self, name: &str, stack: Arc<CodeStack>, recipe: Option<&Recipe>) {
        self.open_document(name, stack, None, recipe);
    }

    fn open_document(
        &mut self,
        name: &str,
        stack: Arc<CodeStack>,
        pictures: Option<(Arc<Picture>, Source)>,
        recipe: Option<&Recipe>,
    ) {
        if let Some(loaded) = &self.loaded {
            let expected = loaded.rqvae.hparams.code_shape;
            let fits = match stack.shape() == expected {
                true => stack.validate(&loaded.codebook_sizes),
                false => Err(Error::invalid(format!(
                    "the loaded model's codes are of shape {expected:?}, found {:?}; load the model that made them",
                    stack.shape()
                ))),
            };
            if let Err(error) = fits {
                return self.log.add(Level::Error, format!("{name}: {error}"));
            }
        }
        let sampling = recipe.and_then(|recipe| recipe.sampling.as_ref());
        let condition =
            sampling.map_or_else(|| self.condition.clone(), |sampling| sampling.condition.clone());
        if let Some(usage) = &mut self.session_usage {
            usage.add(&stack);
        }
        let (original, source) = pictures.unzip();
        let mut document = Document::new(name, stack, original, condition);
        document.source = source;
        self.document = Some(document);
        self.neighbours = None;
        self.explained = None;
        self.show();
    }

    /// Restores what a recipe says of sampling: condition, seed, filters; once a model is loaded.
    pub fn restore(&mut self, recipe: &Recipe) {
        let Some(sampling) = &recipe.sampling else { return };
        let Some(loaded) = &self.loaded else {
            self.waiting_recipe = Some(recipe.clone());
            return;
        };
        let kind = loaded.stage2.as_ref().map(|stage2| stage2.config.condition());
        if kind != Some(sampling.condition.kind()) || self.filters.len() != sampling.filters.len() {
            let maker = &sampling.rqtransformer.name;
            let text = format!("the recipe is of another kind of model, {maker}: load that, then restore it");
            return self.log.add(Level::Warning, text);
        }
        self.condition = sampling.condition.clone();
        self.settings.seed = sampling.seed;
        self.settings.seed_locked = true;
        self.filters = sampling.filters.clone();
        self.log.add(Level::Note, format!("the recipe is restored: seed {}", sampling.seed));
    }

    /// Asks for the open stack's picture.
    pub fn show(&mut self) {
        if let Some(document) = &self.document {
            let view = document.view();
            self.send(Command::Show(view));
        }
    }

    /// Changes the open document; if that changed its codes, its picture follows.
    pub fn edit(&mut self, change: impl FnOnce(&mut Document) -> Result<bool>) {
        let Some(document) = &mut self.document else { return };
        match change(document) {
            Ok(true) => {
                self.show();
                self.look_at_pinned();
            }
            Ok(false) => (),
            Err(error) => self.log.add(Level::Error, error.to_string()),
        }
    }

    /// Pins a cell: its codes are looked into.
    pub fn pin(&mut self, cell: Option<[usize; 2]>) {
        if let Some(document) = &mut self.document {
            document.pinned = cell;
        }
        self.look_at_pinned();
    }

    /// Asks for all that is shown of the pinned code: its neighbours, and what the transformer would have put there.
    pub fn look_at_pinned(&mut self) {
        let Some(document) = &self.document else { return };
        let Some([row, col]) = document.pinned else { return };
        let (depth, stack, condition) =
            (document.depth, document.stack().clone(), document.condition.clone());
        let Ok(code) = stack.at(row, col, depth) else { return };
        self.send(Command::Neighbours { depth, code, count: SUGGESTIONS });
        let cell = (row * stack.w() + col) * stack.depth();
        for (depth, &code) in stack.codes()[cell..cell + stack.depth()].iter().enumerate() {
            self.need_patches(depth, vec![code]);
        }
        if self.loaded.as_ref().is_some_and(|loaded| loaded.stage2.is_some()) {
            self.send(Command::Explain { stack, condition, place: [row, col, depth], count: SUGGESTIONS });
        }
    }

    /// Chooses the depth that is looked at.
    pub fn choose_depth(&mut self, depth: usize) {
        if let Some(document) = &mut self.document
            && depth < document.stack().depth()
            && document.depth != depth
        {
            document.depth = depth;
            self.look_at_pinned();
        }
    }

    /// What `code` looks like at `depth`, if it is known by now.
    pub fn patch(&self, depth: usize, code: u32) -> Option<&Arc<Picture>> {
        self.patches.get(depth, code)
    }

    /// Asks for the looks of those of `codes` that are not known yet.
    pub fn need_patches(&mut self, depth: usize, codes: Vec<u32>) {
        self.patches.want(depth, &codes);
        self.ask_for_patches();
    }

    fn ask_for_patches(&mut self) {
        if let Some((depth, codes)) = self.patches.next() {
            self.send(Command::Patches { depth, codes });
        }
    }

    /// Says what the open stack is made from; what the transformer says of it changes with that.
    pub fn set_condition(&mut self, condition: Condition) {
        let Some(document) = &mut self.document else { return };
        document.condition = condition;
        document.surprise = None;
        self.explained = None;
        self.look_at_pinned();
    }

    /// Asks how sure the transformer is of each code of the open stack.
    pub fn ask_surprise(&mut self) {
        if let Some(document) = &self.document {
            let (stack, condition) = (document.stack().clone(), document.condition.clone());
            self.send(Command::Surprise { stack, condition });
        }
    }

    /// Looks up the neighbours of a code for the codebook panel.
    pub fn browse(&mut self, depth: usize, code: u32) {
        let command = Command::Neighbours { depth, code, count: SUGGESTIONS };
        self.send_for(command, Purpose::Browse);
    }

    /// Samples new pictures into the gallery.
    pub fn generate(&mut self) {
        let plan = self.plan(self.settings.count, None);
        self.send_for(Command::Sample(plan), Purpose::Collect(Origin::Sampled));
    }

    /// Samples the selected cells of the open stack anew, as an edit.
    pub fn resample_selected(&mut self) {
        let Some(forced) = self.document.as_ref().filter(|document| document.has_selection()).map(forced)
        else {
            return self.log.add(Level::Warning, "select the cells to sample anew first");
        };
        let plan = self.plan(1, Some(forced));
        self.send_for(Command::Sample(plan), Purpose::Replace);
    }

    /// Samples pictures that share the kept codes of the open stack, into the gallery.
    pub fn vary(&mut self, keep: Vec<bool>) {
        let Some(document) = &self.document else { return };
        let forced = Forced { stack: (**document.stack()).clone(), keep };
        let plan = self.plan(self.settings.count, Some(forced));
        self.send_for(Command::Sample(plan), Purpose::Collect(Origin::Varied));
    }

    /// Moves the seed on.
    pub fn next_seed(&mut self) {
        self.settings.seed = crate::random::pcg4d([self.settings.seed as u32, 1, 2, 3])[0].into();
    }

    /// Takes a seed that nobody can foresee.
    pub fn random_seed(&mut self) {
        let now = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH).unwrap_or_default();
        self.settings.seed = crate::random::pcg4d([now.as_secs() as u32, now.subsec_nanos(), 0, 0])[0].into();
    }

    /// What to sample by the settings. The seed that is shown is the one that is used; only then does one that is not
    /// locked move on, so that the next pictures are others.
    fn plan(&mut self, count: u32, forced: Option<Forced>) -> SamplePlan {
        let seed = self.settings.seed;
        if !self.settings.seed_locked {
            self.next_seed();
        }
        let document = self.document.as_ref().filter(|_| forced.is_some());
        SamplePlan {
            condition: document.map_or(&self.condition, |document| &document.condition).clone(),
            seed,
            first: 0,
            count: count.max(1),
            filters: self.filters.clone(),
            forced,
            preview: self.settings.preview,
        }
    }

    fn replace(&mut self, made: Vec<Made>) {
        if let Some(made) = made.into_iter().next() {
            self.edit(|document| match document.stack().shape() == made.stack.shape() {
                true => Ok(document.change_codes("sample cells anew", (*made.stack).clone())),
                false => Ok(false),
            });
        }
    }

    fn collect(&mut self, made: Vec<Made>, purpose: Purpose) {
        let origin = if let Purpose::Collect(origin) = purpose { origin } else { Origin::Sampled };
        for made in made {
            let name = match &made.recipe.sampling {
                Some(sampling) => format!("{}-{}", sampling.seed, sampling.image),
                None => format!("{}", self.gallery.items.len()),
            };
            if let Some(usage) = &mut self.session_usage {
                usage.add(&made.stack);
            }
            self.gallery.add(Item {
                name,
                origin: origin.clone(),
                picture: made.picture,
                stack: Some(made.stack),
                recipe: Some(made.recipe),
            });
        }
    }

    /// Opens the file or folder at `path`: a picture, codes, or a model. What went wrong is in the log.
    pub fn open_path(&mut self, path: &Path) {
        if let Err(error) = super::files::open(self, path) {
            self.log.add(Level::Error, error.to_string());
        }
    }

    /// Counts the codes of a folder's pictures.
    pub fn count_folder(&mut self, folder: PathBuf) {
        self.send(Command::Usage(folder));
    }

    /// Puts the open stack and its picture into the gallery.
    pub fn keep(&mut self) {
        let Some(document) = &self.document else { return };
        let Some(seen) = &document.seen else { return };
        self.gallery.add(Item {
            name: document.name.clone(),
            origin: Origin::Edited,
            picture: seen.picture.clone(),
            stack: Some(document.stack().clone()),
            recipe: None,
        });
    }

    /// Undo, or redo.
    pub fn step_history(&mut self, back: bool) {
        self.edit(|document| Ok(if back { document.undo() } else { document.redo() }));
    }

    /// The texture of a picture.
    pub fn texture(&mut self, ctx: &Context, picture: &Arc<Picture>) -> eframe::egui::TextureHandle {
        self.textures.get(ctx, picture)
    }
}

/// The filters that the model was published with.
pub fn published_filters(loaded: &Loaded) -> Vec<Filter> {
    let published = loaded.stage2.as_ref().map(|stage2| stage2.config.published_sampling);
    let filter = Filter {
        temperature: 1.0,
        top_k: published.as_ref().and_then(|published| published.top_k).unwrap_or(0),
        top_p: published.as_ref().and_then(|published| published.top_p).unwrap_or(1.0),
    };
    vec![filter; loaded.codebook_sizes.len()]
}

/// The open stack with all but the selected cells kept.
fn forced(document: &Document) -> Forced {
    Forced { stack: (**document.stack()).clone(), keep: document.kept() }
}
