//! Revises cells, resampling them to fit the rest of the picture: the painted ones, the same ones again, or
//! the worst.

use std::sync::Arc;

use crate::app::document::kept;
use crate::app::jobs::{Job, Purpose};
use residua_core::codes::CodeStack;
use residua_core::sampling::Forced;
use residua_protocol::{Command, Condition, Event, Surprise};

use super::{SURPRISE, State};

/// The undo name of a revision.
const REVISE: &str = "revise cells";

/// Settings of cell revision, and the last revision.
#[derive(Default)]
pub struct Revising {
    /// Number of codes to resample in each cell, from the deepest up; `None` for all.
    pub strength: Option<usize>,
    /// The condition of the revised cells; `None` for that of the picture.
    pub condition: Option<Condition>,
    /// Whether a stroke is of the rectangle that it spans, rather than of the cells that it passes.
    pub rectangle: bool,
    /// The codes before the last revision, and the cells it revised.
    last: Option<(Arc<CodeStack>, Vec<bool>)>,
    /// Cells painted while a revision is under way.
    waiting: Option<Vec<bool>>,
    /// Number of worst cells still to revise.
    worst: u32,
    /// The codes for which surprise was last requested.
    asked: Option<Arc<CodeStack>>,
}

impl Revising {
    /// Discards the request for surprise, because the condition changed or no answer will come.
    pub(super) fn forget_surprise(&mut self) {
        self.asked = None;
    }

    /// Adds cells to those that wait.
    fn wait_for(&mut self, cells: Vec<bool>) {
        let waiting = self.waiting.get_or_insert_with(|| vec![false; cells.len()]);
        waiting.iter_mut().zip(cells).for_each(|(waiting, painted)| *waiting |= painted);
    }

    /// Forgets the last revision and what is still to revise, because another picture is opened.
    pub(super) fn forget_picture(&mut self) {
        self.last = None;
        self.waiting = None;
        self.worst = 0;
        self.asked = None;
    }
}

impl State {
    /// True if the loaded model samples codes.
    pub fn has_transformer(&self) -> bool {
        self.lacks_transformer().is_none()
    }

    /// Resamples the selected cells of the open stack, as an edit. If a revision is under way, they wait for its result, so
    /// that they fit it.
    pub fn revise_selected(&mut self) {
        let Some(document) = self.document.as_ref().filter(|document| document.has_selection()) else {
            return;
        };
        let cells = document.selected.clone();
        if self.jobs.are_replacing() {
            self.revising.wait_for(cells);
        } else {
            self.revise_cells_now(cells);
        }
    }

    /// Once a job of a revision has ended, revises the cells that were painted in the meantime, unless it failed. If it was
    /// stopped, no other worst cells are revised.
    pub(super) fn continue_revising(&mut self, job: &Job, event: &Event) {
        let replaces = matches!(job.purpose, Purpose::Replace { .. });
        // One that another one supersedes is cancelled too, and means nothing here.
        let measures = job.label == SURPRISE && self.jobs.of(SURPRISE).is_none();
        if (replaces || measures) && !matches!(event, Event::Done(_)) {
            self.revising.worst = 0;
        }
        if !replaces {
            return;
        }
        let waiting = self.revising.waiting.take();
        if let Some(cells) = waiting.filter(|_| !matches!(event, Event::Failed(_))) {
            self.revise_cells_now(cells);
        }
    }

    fn revise_cells_now(&mut self, cells: Vec<bool>) {
        let Some(document) = &self.document else { return };
        self.revising.last = Some((document.stack().clone(), cells));
        self.revise();
    }

    /// True if the last revision can be repeated on the open stack.
    pub fn can_revise_again(&self) -> bool {
        let shape = self.document.as_ref().map(|document| document.stack().shape());
        self.has_transformer() && self.revising.last.as_ref().is_some_and(|(of, _)| Some(of.shape()) == shape)
    }

    /// Repeats the last revision with another seed.
    pub fn revise_again(&mut self) {
        if self.can_revise_again() {
            self.settings.next_seed();
            self.revise();
        }
    }

    /// Revises `count` cells one at a time, each time the cell that the model finds least likely.
    pub fn revise_worst(&mut self, count: u32) {
        self.revising.worst = count;
        self.ask_surprise();
    }

    /// How unlikely the transformer finds each code of the open stack, if it is known.
    pub fn known_surprise(&self) -> Option<&Surprise> {
        let document = self.document.as_ref()?;
        document.surprise.as_deref().filter(|surprise| surprise.stack == *document.stack())
    }

    /// Whether the surprise of the open codes is neither known nor requested.
    pub fn lacks_surprise(&self) -> bool {
        let Some(document) = &self.document else { return false };
        let is_asked = self.revising.asked.as_ref().is_some_and(|asked| Arc::ptr_eq(asked, document.stack()));
        self.known_surprise().is_none() && !is_asked && self.has_transformer()
    }

    /// Requests how unlikely the transformer finds each code of the open stack.
    pub fn ask_surprise(&mut self) {
        if let Some(document) = &self.document {
            let (stack, condition) = (document.stack().clone(), document.condition.clone());
            self.revising.asked = Some(stack.clone());
            self.send(Command::Surprise { stack, condition });
        }
    }

    /// Revises the worst cell, if any revisions remain.
    pub(super) fn revise_next(&mut self, surprise: &Surprise) {
        let Some(document) = self.document.as_mut().filter(|_| self.revising.worst > 0) else { return };
        self.revising.worst -= 1;
        let worst = surprise.worst().map(|(cell, _)| cell);
        document.selected.iter_mut().enumerate().for_each(|(cell, selected)| *selected = Some(cell) == worst);
        self.revise_selected();
    }

    /// Asks which cell is the worst now, if any revisions remain.
    pub(super) fn ask_for_worst(&mut self) {
        if self.revising.worst > 0 {
            self.ask_surprise();
        }
    }

    /// Stops revising the worst cells, and forgets those that wait.
    pub(super) fn give_up_revising(&mut self) {
        self.revising.worst = 0;
        self.revising.waiting = None;
    }

    fn revise(&mut self) {
        let (Some((before, cells)), Some(document)) = (self.revising.last.clone(), &self.document) else {
            return;
        };
        // Other cells may have changed since.
        let Ok(stack) = document.stack().with_cells(&cells, &before) else { return };
        let strength = self.revising.strength.unwrap_or(stack.depth());
        let keep = kept(&cells, stack.depth(), strength);
        let mut plan = self.plan(1, Some(Forced { stack, keep }));
        if let Some(condition) = &self.revising.condition {
            plan.condition = condition.clone();
        }
        self.replace_by(plan, REVISE, cells);
    }
}
