//! Handles the engine's answers.

use std::sync::Arc;

use crate::app::document::Document;
use crate::app::gallery::{Comparison, Item, Origin};
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_protocol::explanation::Explanation;
use residua_protocol::{Encoded, Event, JobId, Layers, Made, Message, Neighbours, Output, Seen, Surprise};

use super::{CHOICES, DECODING, LOADING, PATCHES, RUNS, State};

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
        self.continue_revising(&job, &event);
        if job.label == PATCHES {
            self.found.patches.over();
            self.ask_for_patches();
        }
        if job.label == DECODING && self.jobs.of(DECODING).is_none() {
            self.give_up_awaiting();
        }
        if LOADING.contains(&job.label) && !matches!(event, Event::Done(_)) {
            self.loading.coming = None;
        }
        match event {
            Event::Done(milliseconds) if job.file.is_none() => {
                self.log.times.insert(job.label, milliseconds);
            }
            Event::Done(_) => (),
            Event::Failed(reason) => {
                self.log.add(Level::Error, reason.clone());
                if LOADING.contains(&job.label) {
                    self.loading.failure = Some(reason);
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

    fn accept(&mut self, output: Output, purpose: Purpose) {
        match output {
            Output::Loaded(loaded) => self.take_models(loaded),
            Output::Fetched => self.load_rest(),
            Output::Encoded(encoded) => self.take_encoded(&encoded, purpose),
            Output::Seen(seen) => self.take_seen(seen),
            Output::Layers(layers) => self.take_layers(layers),
            Output::Postponed => self.layers_wait = true,
            Output::Neighbours(neighbours) => self.take_neighbours(neighbours, &purpose),
            Output::Patches(patches) => self.found.patches.learn(&patches),
            Output::Choices(choices) => self.found.choices.learn(choices),
            Output::Explained { place, explanation } => self.take_explanation(place, explanation),
            Output::Surprise(surprise) => self.take_surprise(&surprise),
            Output::Tokens(tokens) => self.found.captions.learn(tokens),
            Output::Preview(pictures) => self.take_previews(pictures, &purpose),
            Output::Sampled(made) => self.take_sampled(made, purpose),
            Output::Usage(usage) => self.found.folder_usage = Some(usage),
            Output::Opened(opened) => self.take_opened(opened),
            Output::Masked(cells) => self.take_mask(cells, &purpose),
            Output::Folder => self.gallery.remove_all(|_, item| matches!(item.origin, Origin::File(_))),
            Output::Listed(listed) => self.gallery.add(Item::from(listed)),
            Output::Compared { pictures, psnr } => self.take_comparison(pictures, psnr, purpose),
            #[cfg(not(target_family = "wasm"))]
            Output::Run(folder, found) => self.found_run(&folder, found),
            #[cfg(target_family = "wasm")]
            Output::Run(..) => (),
            Output::Saved(path) => self.log.add(Level::Note, format!("wrote {}", path.display())),
            Output::Warned(text) => self.log.add(Level::Warning, text),
        }
    }

    fn take_encoded(&mut self, encoded: &Encoded, purpose: Purpose) {
        if let Purpose::Open(name, source) = purpose {
            let pictures = Some((encoded.original.clone(), source));
            self.open_document(&name, encoded.stack.clone(), pictures, None);
        }
    }

    fn take_seen(&mut self, seen: Arc<Seen>) {
        if let Some(document) = self.document_of(&seen.stack) {
            document.take_seen(seen);
        }
        self.do_awaiting();
    }

    fn take_layers(&mut self, layers: Arc<Layers>) {
        if let Some(document) = self.document_of(&layers.stack) {
            document.take_layers(layers);
            self.layers_wait = false;
        }
    }

    fn take_neighbours(&mut self, neighbours: Arc<Neighbours>, purpose: &Purpose) {
        let codes: Vec<u32> = neighbours.nearest.iter().map(|(code, _)| *code).collect();
        if *purpose == Purpose::Browse {
            self.need_patches(neighbours.depth, codes);
            self.found_neighbours(neighbours);
        } else {
            self.need_choices(&codes);
            self.found.neighbours = Some(neighbours);
        }
    }

    fn take_explanation(&mut self, place: [usize; 3], explanation: Arc<Explanation>) {
        let listed = explanation.suggestions.iter().chain([&explanation.chosen]);
        let codes: Vec<u32> = listed.map(|suggestion| suggestion.code).collect();
        self.need_choices(&codes);
        self.found.explained = Some((place, explanation));
    }

    fn take_surprise(&mut self, surprise: &Arc<Surprise>) {
        let same = |document: &&mut Document| document.condition == surprise.condition;
        if let Some(document) = self.document_of(&surprise.stack).filter(same) {
            document.surprise = Some(surprise.clone());
            self.revise_next(surprise);
        } else {
            // The codes or their condition have changed since.
            self.ask_for_worst();
        }
    }

    fn take_previews(&mut self, pictures: Vec<Arc<Picture>>, purpose: &Purpose) {
        let Purpose::Replace { opened, .. } = purpose else {
            self.previews = pictures;
            return;
        };
        if let Some(document) = self.opened_with(opened) {
            document.preview = pictures.into_iter().next();
        }
    }

    fn take_sampled(&mut self, made: Vec<Made>, purpose: Purpose) {
        match purpose {
            Purpose::Replace { what, opened, cells } => self.replace(made, what, &opened, &cells),
            Purpose::Collect(origin) => self.collect(made, &origin),
            _ => self.collect(made, &Origin::Sampled),
        }
    }

    fn take_mask(&mut self, cells: Vec<bool>, purpose: &Purpose) {
        if let Purpose::Revise(opened) = purpose {
            self.revise_cells(cells, opened);
        }
    }

    fn take_comparison(&mut self, pictures: [Arc<Picture>; 2], psnr: Option<f64>, purpose: Purpose) {
        if let Purpose::Compare(names, codes) = purpose {
            self.gallery.comparison = Some(Comparison { names, pictures, codes, psnr });
        }
    }

    fn document_of(&mut self, stack: &Arc<CodeStack>) -> Option<&mut Document> {
        self.document.as_mut().filter(|document| document.stack() == stack)
    }

    /// The open document, if it was opened with these very codes, and not another one with equal codes.
    pub(super) fn opened_with(&mut self, opened: &Arc<CodeStack>) -> Option<&mut Document> {
        self.document.as_mut().filter(|document| Arc::ptr_eq(document.opened(), opened))
    }

    fn replace(&mut self, made: Vec<Made>, what: &str, opened: &Arc<CodeStack>, cells: &[bool]) {
        if let Some(made) = made.into_iter().next()
            && let Some(document) = self.opened_with(opened)
        {
            document.preview = Some(made.picture);
            self.edit(|document| document.take_cells(what, cells, &made.stack));
            self.ask_for_worst();
        }
    }

    fn collect(&mut self, made: Vec<Made>, origin: &Origin) {
        for made in made {
            let name = match &made.recipe.sampling {
                Some(sampling) => format!("{}-{}", sampling.seed, sampling.image),
                None => format!("{}", self.gallery.items.len()),
            };
            if let Some(usage) = &mut self.found.session_usage {
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
