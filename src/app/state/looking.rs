//! Viewing and editing cells, codes and depths, with the engine requests for it.

use std::sync::Arc;

use crate::app::document::{Document, Mode};
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use residua_core::error::Result;
use residua_io::image_io::Picture;
use residua_protocol::{CaptionTokens, Command, Condition, Neighbours, View};

use super::{Browsed, CHOICES, COUNTING, DECODING, SUGGESTIONS, State};

impl State {
    /// Requests the open stack's picture and layers.
    pub fn show(&mut self) {
        self.layers_wait = false;
        if let Some(document) = &self.document {
            let view = document.view();
            self.send(Command::Show(view));
        }
    }

    /// Does `what` once the picture of the open codes is decoded, which it may be already. Until then, the document shows an
    /// earlier picture.
    pub fn once_decoded(&mut self, what: fn(&mut Self)) {
        match &self.document {
            Some(document) if document.decoded().is_some() => what(self),
            Some(_) => {
                self.awaiting.push(what);
                if self.jobs.of(DECODING).is_none() {
                    self.show();
                }
            }
            None => (),
        }
    }

    /// Does what awaits the picture of the open codes, if it is decoded.
    pub(super) fn do_awaiting(&mut self) {
        std::mem::take(&mut self.awaiting).into_iter().for_each(|what| self.once_decoded(what));
    }

    /// Gives up what awaits a picture that nobody decodes any more, so that it does not happen to another one.
    pub(super) fn give_up_awaiting(&mut self) {
        if !std::mem::take(&mut self.awaiting).is_empty() {
            self.log.add(Level::Warning, "the picture was given up before it was decoded, and is not saved");
        }
    }

    /// Edits the open document. If its stack or limits changed, requests a new picture.
    pub fn edit(&mut self, change: impl FnOnce(&mut Document) -> Result<bool>) {
        let Some(document) = &mut self.document else { return };
        match change(document) {
            Ok(true) => {
                // The edit makes the running previews obsolete: stop them, so that the picture comes first.
                if let Some((choices, _)) = self.jobs.called(CHOICES) {
                    self.stop(choices);
                }
                self.show();
                self.look_at_pinned();
            }
            Ok(false) => (),
            Err(error) => self.log.add(Level::Error, error.to_string()),
        }
    }

    /// Pins a cell, and requests the details of its codes.
    pub fn pin(&mut self, cell: Option<[usize; 2]>) {
        if let Some(document) = &mut self.document {
            document.pinned = cell;
        }
        self.look_at_pinned();
    }

    /// Moves the pin by rows and columns, and requests the details of the codes there.
    pub fn move_pin(&mut self, [rows, columns]: [isize; 2]) {
        if let Some(document) = &mut self.document {
            document.move_pin(rows, columns);
            self.look_at_pinned();
        }
    }

    /// Requests the details of the pinned code: its neighbours and the transformer's suggestions.
    pub fn look_at_pinned(&mut self) {
        let Some(document) = &self.document else { return };
        let Some([row, col]) = document.pinned else { return };
        let (depth, stack, condition) =
            (document.depth, document.stack().clone(), document.condition.clone());
        let Ok(code) = stack.at(row, col, depth) else { return };
        self.found.choices.look_at(View { original: None, ..document.view() }, [row, col, depth]);
        self.send(Command::Neighbours { depth, code, count: SUGGESTIONS });
        if self.loaded.as_ref().is_some_and(|loaded| loaded.stage2.is_some()) {
            self.send(Command::Explain { stack, condition, place: [row, col, depth], count: SUGGESTIONS });
        }
    }

    /// Chooses the depth to view.
    pub fn choose_depth(&mut self, depth: usize) {
        if let Some(document) = &mut self.document
            && depth < document.stack().depth()
            && document.depth != depth
        {
            document.depth = depth;
            self.look_at_pinned();
        }
    }

    /// Chooses whether layers are viewed summed or alone.
    pub fn choose_mode(&mut self, mode: Mode) {
        if let Some(document) = &mut self.document {
            document.mode = mode;
        }
    }

    /// Selects cells of the open document, or deselects them.
    pub fn select(&mut self, cells: &[[usize; 2]], selected: bool) {
        let Some(document) = &mut self.document else { return };
        let w = document.stack().w();
        cells.iter().for_each(|[row, col]| document.selected[row * w + col] = selected);
    }

    /// Selects the cells for which `selector` is true, given whether they are selected now.
    pub fn select_by(&mut self, selector: fn(bool) -> bool) {
        if let Some(document) = &mut self.document {
            document.selected.iter_mut().for_each(|selected| *selected = selector(*selected));
        }
    }

    /// The picture of `code` at `depth`, if it has arrived.
    pub fn patch(&self, depth: usize, code: u32) -> Option<&Arc<Picture>> {
        self.found.patches.get(depth, code)
    }

    /// Requests the pictures of `codes` that are still missing.
    pub fn need_patches(&mut self, depth: usize, codes: Vec<u32>) {
        self.found.patches.want(depth, &codes);
        self.ask_for_patches();
    }

    /// Requests previews of `codes` at the pinned position, unless already requested.
    pub(super) fn need_choices(&mut self, codes: &[u32]) {
        if let Some((view, place, codes)) = self.found.choices.want(codes) {
            self.send(Command::Choices { view, place, codes });
        }
    }

    pub(super) fn ask_for_patches(&mut self) {
        if let Some((depth, codes)) = self.found.patches.next() {
            self.send(Command::Patches { depth, codes });
        }
    }

    /// How the tokenizer reads `caption`, if it has answered.
    pub fn tokens_of(&self, caption: &str) -> Option<&CaptionTokens> {
        self.found.captions.get(caption)
    }

    /// Whether [`Self::count_tokens`] would request anything for `caption`. A request replaces the one before, so there is only
    /// one at a time.
    pub fn needs_tokens_of(&self, caption: &str) -> bool {
        self.jobs.of(COUNTING).is_none() && self.found.captions.is_new(caption)
    }

    /// Requests how the tokenizer reads `caption`, unless it is known or another request is running.
    pub fn count_tokens(&mut self, caption: &str) {
        if self.needs_tokens_of(caption) {
            self.found.captions.want(caption);
            self.send(Command::CountTokens(caption.into()));
        }
    }

    /// Sets the open stack's condition, and discards the transformer's results for the old one.
    pub fn set_condition(&mut self, condition: Condition) {
        let Some(document) = &mut self.document else { return };
        document.condition = condition;
        document.surprise = None;
        self.revising.forget_surprise();
        self.found.explained = None;
        self.look_at_pinned();
    }

    /// Looks up the neighbours of a code for the codebook panel.
    pub fn browse(&mut self, depth: usize, code: u32) {
        self.found.browsed = Some(Browsed { depth, code, neighbours: None });
        let command = Command::Neighbours { depth, code, count: SUGGESTIONS };
        self.send_for(command, Purpose::Browse);
    }

    /// Takes the neighbours of the code that is looked up; ignores those of another one.
    pub(super) fn found_neighbours(&mut self, found: Arc<Neighbours>) {
        let browsed = self.found.browsed.as_mut();
        if let Some(browsed) =
            browsed.filter(|browsed| (browsed.depth, browsed.code) == (found.depth, found.code))
        {
            browsed.neighbours = Some(found);
        }
    }

    /// Undoes an edit if `back`, else redoes one.
    pub fn step_history(&mut self, back: bool) {
        self.edit(|document| Ok(if back { document.undo() } else { document.redo() }));
    }
}
