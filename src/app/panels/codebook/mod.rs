//! The "Codebook" panel: which codes the pictures use, and what each code looks like.

mod browse;
mod usage;

use std::sync::Arc;

use eframe::egui::{ScrollArea, Ui};

use crate::app::choose::{self, Wanted};
use crate::app::panels::parts::{column, depths};
use crate::app::state::State;
use residua_metrics::Usage;
use residua_protocol::Neighbours;
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
    /// Depth of the codebook, from 0.
    pub depth: usize,
    /// Which counts are shown.
    pub source: Source,
    /// Sort by use, the most used code first, instead of by number.
    pub by_use: bool,
    /// The code whose neighbours are shown.
    pub code: Option<u32>,
    /// Its neighbours, once known.
    pub neighbours: Option<Arc<Neighbours>>,
    /// The sorted counts.
    summary: Option<Arc<Summary>>,
}

impl CodebookView {
    /// Switches to a folder's counts, once they are complete.
    pub fn counted(&mut self) {
        self.source = Source::Folder;
        self.summary = None;
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
pub fn show(ui: &mut Ui, state: &mut State) {
    let Some(loaded) = state.loaded.clone() else {
        ui.label("Load a model: choose one in Models.");
        return;
    };
    controls(ui, state, loaded.codebook_sizes.len());
    let summary = summary(state);
    if ui.available_width() < WIDE {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            usage::show(ui, state, summary.as_deref());
            ui.scope(|ui| {
                ui.set_max_height(LIST);
                browse::show(ui, state, summary.as_deref());
            });
            browse::show_neighbours(ui, state);
        });
        return;
    }
    ui.columns(3, |columns| {
        column(&mut columns[0], "usage", |ui| usage::show(ui, state, summary.as_deref()));
        browse::show(&mut columns[1], state, summary.as_deref());
        column(&mut columns[2], "neighbours", |ui| browse::show_neighbours(ui, state));
    });
}

fn controls(ui: &mut Ui, state: &mut State, count: usize) {
    ui.horizontal_wrapped(|ui| {
        if let Some(depth) = depths(ui, "Codebook of depth", count, state.codebook_view.depth) {
            state.codebook_view.depth = depth;
            state.codebook_view.code = None;
        }
        ui.separator();
        ui.label("Used by");
        ui.radio_value(&mut state.codebook_view.source, Source::Session, "this session");
        let counted = state.folder_usage.is_some();
        ui.add_enabled_ui(counted, |ui| {
            ui.radio_value(&mut state.codebook_view.source, Source::Folder, "a folder");
        });
        if ui.button("Count a folder…").clicked() {
            choose::open(state, Wanted::CountedFolder);
        }
        ui.separator();
        ui.checkbox(&mut state.codebook_view.by_use, "Most used first");
    });
}

/// The counts to show, if anything has been counted.
fn summary(state: &mut State) -> Option<Arc<Summary>> {
    let usage = match state.codebook_view.source {
        Source::Session => state.session_usage.as_ref(),
        Source::Folder => state.folder_usage.as_deref(),
    };
    usage
        .filter(|usage| usage.pictures + usage.unreadable > 0)
        .map(|usage| state.codebook_view.summary(usage))
}
