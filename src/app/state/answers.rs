//! Handles the engine's answers.

use std::sync::Arc;

use crate::app::captions::Captions;
use crate::app::choices::Choices;
use crate::app::document::Document;
use crate::app::gallery::{Comparison, Item, Origin};
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use crate::app::patches::Patches;
use residua_core::codes::CodeStack;
use residua_core::config::ConditionKind;
use residua_io::assets::bundled::{self, BUNDLED};
use residua_metrics::Usage;
use residua_protocol::condition::of_caption;
use residua_protocol::{Command, Condition, Event, JobId, Loaded, Made, Message, Output};

use super::{CHOICES, DECODING, LOADING, PATCHES, RUNS, Revising, State};

impl State {
    pub(super) fn take(&mut self, Message { job, event }: Message) {
        match event {
            Event::Begun => {
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
        self.end_preview(matches!(job.purpose, Purpose::Replace { .. }) && !matches!(event, Event::Done(_)));
        // A job that another one supersedes is cancelled too, and means nothing here.
        if matches!(event, Event::Failed(_)) {
            self.give_up_revising();
        }
        if matches!(job.purpose, Purpose::Replace { .. }) {
            self.revise_waiting();
        }
        if job.label == PATCHES {
            self.patches.over();
            self.ask_for_patches();
        }
        if LOADING.contains(&job.label) && !matches!(event, Event::Done(_)) {
            self.coming = None;
        }
        match event {
            Event::Done(milliseconds) if job.file.is_none() => {
                self.log.times.insert(job.label, milliseconds);
            }
            Event::Done(_) => (),
            Event::Failed(reason) => {
                self.log.add(Level::Error, reason.clone());
                if LOADING.contains(&job.label) {
                    self.load_failure = Some(reason);
                    self.load_default();
                }
            }
            _ if job.begun.is_some() && ![DECODING, PATCHES, CHOICES, RUNS].contains(&job.label) => {
                self.log.add(Level::Note, format!("{} was stopped", job.text()));
            }
            _ => (),
        }
        if self.layers_wait && self.jobs.leave_models_idle() {
            self.show();
        }
    }

    /// Drops the preview of a revision that was `given_up`, or that nothing will replace.
    fn end_preview(&mut self, given_up: bool) {
        let comes = self.jobs.are_replacing() || self.jobs.of(DECODING).is_some() || self.layers_wait;
        if let Some(document) = self.document.as_mut().filter(|_| given_up || !comes) {
            document.preview = None;
        }
    }

    /// Loads the default model if another model failed to load and none is loaded.
    fn load_default(&mut self) {
        let default = BUNDLED[0].name;
        if self.loaded.is_none() && self.asked != default {
            self.load(default, None);
        }
    }

    fn accept(&mut self, output: Output, purpose: Purpose) {
        match (output, purpose) {
            (Output::Loaded(loaded), _) => self.take_models(loaded),
            (Output::Fetched, _) => self.load_rest(),
            (Output::Encoded(encoded), Purpose::Open(name, source)) => {
                let pictures = Some((encoded.original.clone(), source));
                self.open_document(&name, encoded.stack.clone(), pictures, None);
            }
            (Output::Encoded(_), _) => (),
            (Output::Seen(seen), _) => {
                if let Some(document) = self.document_of(&seen.stack) {
                    document.take_seen(seen);
                }
            }
            (Output::Layers(layers), _) => {
                if let Some(document) = self.document_of(&layers.stack) {
                    document.take_layers(layers);
                    self.layers_wait = false;
                }
            }
            (Output::Postponed, _) => self.layers_wait = true,
            (Output::Neighbours(neighbours), purpose) => {
                let codes: Vec<u32> = neighbours.nearest.iter().map(|(code, _)| *code).collect();
                match purpose {
                    Purpose::Browse => {
                        self.need_patches(neighbours.depth, codes);
                        self.found_neighbours(neighbours);
                    }
                    _ => {
                        self.need_choices(&codes);
                        self.neighbours = Some(neighbours);
                    }
                }
            }
            (Output::Patches(patches), _) => self.patches.learn(&patches),
            (Output::Choices(choices), _) => self.choices.learn(choices),
            (Output::Explained { place, explanation }, _) => {
                let listed = explanation.suggestions.iter().chain([&explanation.chosen]);
                let codes: Vec<u32> = listed.map(|suggestion| suggestion.code).collect();
                self.need_choices(&codes);
                self.explained = Some((place, explanation));
            }
            (Output::Surprise(surprise), _) => {
                let same = |document: &&mut Document| document.condition == surprise.condition;
                if let Some(document) = self.document_of(&surprise.stack).filter(same) {
                    document.surprise = Some(surprise.clone());
                    self.revise_next(&surprise);
                }
            }
            (Output::Tokens(found), _) => self.captions.learn(found),
            (Output::Preview(pictures), Purpose::Replace { opened, .. }) => {
                if let Some(document) = self.opened_with(&opened) {
                    document.preview = pictures.into_iter().next();
                }
            }
            (Output::Preview(pictures), _) => self.previews = pictures,
            (Output::Sampled(made), Purpose::Replace { what, opened, cells }) => {
                self.replace(made, what, &opened, &cells);
            }
            (Output::Sampled(made), purpose) => self.collect(made, purpose),
            (Output::Usage(usage), _) => self.folder_usage = Some(usage),
            (Output::Opened(opened), _) => self.take_opened(opened),
            (Output::Masked(cells), Purpose::Revise(opened)) => self.revise_cells(cells, &opened),
            (Output::Masked(_), _) => (),
            (Output::Folder, _) => {
                self.gallery.remove_all(|_, item| matches!(item.origin, Origin::File(_)));
            }
            (Output::Listed(listed), _) => self.gallery.add(Item::from(listed)),
            (Output::Compared { pictures, psnr }, Purpose::Compare(names, codes)) => {
                self.gallery.comparison = Some(Comparison { names, pictures, codes, psnr });
            }
            (Output::Compared { .. }, _) => (),
            #[cfg(not(target_family = "wasm"))]
            (Output::Run(folder, found), _) => self.found_run(&folder, found),
            #[cfg(target_family = "wasm")]
            (Output::Run(..), _) => (),
            (Output::Saved(path), _) => self.log.add(Level::Note, format!("wrote {}", path.display())),
            (Output::Warned(text), _) => self.log.add(Level::Warning, text),
        }
    }

    fn document_of(&mut self, stack: &Arc<CodeStack>) -> Option<&mut Document> {
        self.document.as_mut().filter(|document| document.stack() == stack)
    }

    /// The open document, if it was opened with these very codes, and not another one with equal codes.
    pub(super) fn opened_with(&mut self, opened: &Arc<CodeStack>) -> Option<&mut Document> {
        self.document.as_mut().filter(|document| Arc::ptr_eq(document.opened(), opened))
    }

    fn take_models(&mut self, loaded: Arc<Loaded>) {
        match self.coming {
            Some(model) if loaded.stage2.is_none() => {
                self.send(Command::Fetch(model.into()));
            }
            _ => {
                self.coming = None;
                self.log.add(Level::Note, format!("{} is loaded", loaded.name));
                self.settings.opened(&loaded.name, loaded.rqvae_place.as_deref());
            }
        }
        self.load_failure = None;
        let again = std::mem::take(&mut self.reloads);
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
                self.waiting.get_or_insert((name, source));
            }
            Some(document) if fits(&document) => self.keep_open(document),
            _ => (),
        }
        if let Some((name, source)) = self.waiting.take() {
            self.open_part(&name, source);
        }
        if let Some(recipe) = self.waiting_recipe.take() {
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
        self.session_usage = Some(Usage::new(&loaded.codebook_sizes));
        self.folder_usage = None;
        self.neighbours = None;
        self.explained = None;
        self.patches = Patches::default();
        self.choices = Choices::default();
        self.captions = Captions::default();
        self.revising = Revising::default();
        self.browsed = None;
    }

    fn replace(&mut self, made: Vec<Made>, what: &str, opened: &Arc<CodeStack>, cells: &[bool]) {
        if let Some(made) = made.into_iter().next()
            && let Some(document) = self.opened_with(opened)
        {
            document.preview = Some(made.picture);
            self.edit(|document| document.take_cells(what, cells, &made.stack));
            self.revised();
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
}
