//! The "Codebook" panel: which codes the pictures use, and what each code looks like.

mod browse;
mod usage;

use std::sync::Arc;

use eframe::egui::{ScrollArea, Ui};

use crate::app::action::Action;
use crate::app::choose::Wanted;
use crate::app::panels::parts::{column, depths};
use crate::app::state::State;
use residua_metrics::Usage;
use residua_protocol::Loaded;
use usage::Summary;

/// Width from which the parts are shown side by side.
const WIDE: f32 = 700.0;

/// Height of the list of codes when the parts are stacked.
const LIST: f32 = 240.0;

/// Which pictures' codes are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// All pictures that were opened or made.
    #[default]
    Session,
    /// A folder's pictures.
    Folder,
}

/// The state of the panel.
#[derive(Default)]
pub struct CodebookView {
    /// The models of the codebook.
    loaded: Option<Arc<Loaded>>,
    /// The latest counts of a folder.
    folder: Option<Arc<Usage>>,
    /// Depth of the codebook, from 0.
    depth: usize,
    /// Which counts are shown.
    source: Source,
    /// Sort by use, the most used code first, instead of by number.
    by_use: bool,
    /// The sorted counts.
    summary: Option<Arc<Summary>>,
}

impl CodebookView {
    /// Resets with other models, and switches to a folder's counts once they are complete.
    fn follow(&mut self, loaded: &Arc<Loaded>, folder: Option<&Arc<Usage>>) {
        if !self.loaded.as_ref().is_some_and(|of| Arc::ptr_eq(of, loaded)) {
            *self = Self { loaded: Some(loaded.clone()), ..Self::default() };
        }
        if self.folder.as_ref().map(Arc::as_ptr) != folder.map(Arc::as_ptr) {
            self.folder = folder.cloned();
            self.source = if folder.is_some() { Source::Folder } else { Source::Session };
            self.summary = None;
        }
    }

    /// The counts to show, sorted again only if they have changed.
    fn summary(&mut self, usage: &Usage) -> Arc<Summary> {
        let of = (self.source, self.depth, usage.pictures);
        match self.summary.take().filter(|summary| summary.of == of) {
            Some(summary) => self.summary.insert(summary).clone(),
            None => self.summary.insert(Arc::new(Summary::new(of, usage))).clone(),
        }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, view: &mut CodebookView, actions: &mut Vec<Action>) {
    let Some(loaded) = &state.loaded else {
        ui.label("Load a model: choose one in Models.");
        return;
    };
    view.follow(loaded, state.found.folder_usage.as_ref());
    controls(ui, view, loaded.codebook_sizes.len(), actions);
    let summary = summary(state, view);
    let codes = loaded.codebook_sizes[view.depth];
    if ui.available_width() < WIDE {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            usage::show(ui, state, summary.as_deref());
            ui.scope(|ui| {
                ui.set_max_height(LIST);
                browse::show(ui, state, view, codes, summary.as_deref(), actions);
            });
            browse::show_neighbours(ui, state, view.depth, actions);
        });
        return;
    }
    ui.columns(3, |columns| {
        column(&mut columns[0], "usage", |ui| usage::show(ui, state, summary.as_deref()));
        browse::show(&mut columns[1], state, view, codes, summary.as_deref(), actions);
        column(&mut columns[2], "neighbours", |ui| browse::show_neighbours(ui, state, view.depth, actions));
    });
}

fn controls(ui: &mut Ui, view: &mut CodebookView, count: usize, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        if let Some(depth) = depths(ui, "Codebook of depth", count, view.depth) {
            view.depth = depth;
        }
        ui.separator();
        ui.label("Used by");
        ui.radio_value(&mut view.source, Source::Session, "this session");
        ui.add_enabled_ui(view.folder.is_some(), |ui| {
            ui.radio_value(&mut view.source, Source::Folder, "a folder");
        });
        if ui.button("Count a folder…").clicked() {
            actions.push(Action::Choose(Wanted::CountedFolder));
        }
        ui.separator();
        ui.checkbox(&mut view.by_use, "Most used first");
    });
}

/// The counts to show, if anything has been counted.
fn summary(state: &State, view: &mut CodebookView) -> Option<Arc<Summary>> {
    let usage = match view.source {
        Source::Session => state.found.session_usage.as_ref(),
        Source::Folder => state.found.folder_usage.as_deref(),
    };
    usage.filter(|usage| usage.pictures + usage.unreadable > 0).map(|usage| view.summary(usage))
}
