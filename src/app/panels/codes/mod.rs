//! The panel "Codes": the codes of the pinned cell, or actions for the selected cells.

mod editor;
mod patch;
mod rates;
mod revise;
mod selection;

use eframe::egui::{ScrollArea, Ui};

use crate::app::action::Action;
use crate::app::state::State;
use crate::app::tool::Tool;

/// State of the panel.
#[derive(Default)]
pub struct CodesView {
    /// Order of the alternative codes.
    order: editor::Order,
    /// The code number being dragged, with its position.
    number: Option<([usize; 3], u32)>,
    /// The depth limit for the selected cells.
    limit: Option<usize>,
    /// Number of worst cells to revise.
    worst: u32,
}

/// Shows the panel; its contents depend on the tool.
pub fn show(ui: &mut Ui, state: &State, view: &mut CodesView, actions: &mut Vec<Action>) {
    let Some(document) = &state.document else {
        ui.label("Open a picture to see its codes.");
        return;
    };
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        match state.tool {
            Tool::Pin => editor::show(ui, state, document, view, actions),
            Tool::Brush | Tool::Rectangle => {
                selection::show(ui, state, document, &mut view.limit, actions);
            }
            Tool::Revise => revise::show(ui, state, document, &mut view.worst, actions),
        }
        ui.separator();
        ui.collapsing("Rate by depth", |ui| rates::show(ui, document, actions));
    });
}
