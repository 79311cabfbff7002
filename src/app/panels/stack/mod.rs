//! The panel "Code stack": the cells over the picture, what each code adds, and other codes in their places.

mod cached;
mod cell;
mod editor;
mod grid;
mod maps;
mod patch;
mod rates;
mod selection;

use std::sync::Arc;

use eframe::egui::{CentralPanel, Frame, Margin, Panel, ScrollArea, Slider, Ui};

use crate::app::document::Mode;
use crate::app::state::State;
use crate::codes::CodeStack;
use crate::engine::studio::Layers;
use crate::image_io::Picture;
use cached::Cached;
use grid::Drag;

/// Pictures of the depths, the first depth first.
type Maps = Arc<[Arc<Picture>]>;

/// What the pointer does to cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Looks at one.
    #[default]
    Pin,
    /// Selects those that it passes.
    Brush,
    /// Selects a rectangle of them.
    Rectangle,
}

/// Tools with their names and what they are for.
const TOOLS: [(Tool, &str, &str); 3] = [
    (Tool::Pin, "Pin", "Click a cell to see and change its codes"),
    (Tool::Brush, "Brush", "Drag over cells to select them; hold Shift to deselect"),
    (Tool::Rectangle, "Rectangle", "Drag over the picture to select its cells; hold Shift to deselect"),
];

/// What is shown of each depth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Map {
    #[default]
    Pictures,
    Codes,
    Residuals,
    Rates,
}

/// How the panel is set, and what it has drawn.
pub struct StackView {
    /// What the pointer does.
    pub tool: Tool,
    /// Whether lines part the cells.
    lines: bool,
    /// What is shown of each depth.
    map: Map,
    /// The selection that is being drawn.
    drag: Option<Drag>,
    /// The code that is being dragged, with its place.
    number: Option<([usize; 3], u32)>,
    /// How codes are ordered that could stand at the pinned place.
    order: editor::Order,
    /// The depth limit that is to be set.
    limit: Option<usize>,
    codes: Cached<CodeStack, Maps>,
    residuals: Cached<Layers, Maps>,
    added: Cached<Layers, Maps>,
}

impl Default for StackView {
    fn default() -> Self {
        Self {
            tool: Tool::Pin,
            lines: true,
            map: Map::Pictures,
            drag: None,
            number: None,
            order: editor::Order::default(),
            limit: None,
            codes: Cached::default(),
            residuals: Cached::default(),
            added: Cached::default(),
        }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    if state.document.is_none() {
        ui.centered_and_justified(|ui| {
            ui.label("Open a picture to see its codes: drop it on the window, paste it, or press Ctrl+O.");
        });
        return;
    }
    toolbar(ui, state);
    depths(ui, state);
    ui.separator();
    let margin = Frame::new().inner_margin(Margin { left: 6, ..Margin::ZERO });
    Panel::right("cell or selection").default_size(248.0).frame(margin).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| match state.stack_view.tool {
            Tool::Pin => editor::show(ui, state),
            Tool::Brush | Tool::Rectangle => selection::show(ui, state),
        });
    });
    Panel::bottom("depths").default_size(126.0).frame(Frame::NONE).resizable(true).show(ui, |ui| {
        // Its height is the person's choice, not that of what it shows at the moment.
        ui.expand_to_include_rect(ui.max_rect());
        maps::show(ui, state);
    });
    CentralPanel::no_frame().show(ui, |ui| grid::show(ui, state));
}

/// What the pointer does, and the way back.
fn toolbar(ui: &mut Ui, state: &mut State) {
    ui.horizontal_wrapped(|ui| {
        for (tool, name, help) in TOOLS {
            ui.selectable_value(&mut state.stack_view.tool, tool, name).on_hover_text(help);
        }
        ui.separator();
        ui.checkbox(&mut state.stack_view.lines, "Grid lines");
        ui.separator();
        let past = state.document.as_ref().map(|document| (document.undoable(), document.redoable()));
        let (undoable, redoable) = past.unwrap_or_default();
        let steps = [("Undo", undoable, true), ("Redo", redoable, false)];
        let buttons = steps.map(|(name, what, back)| {
            let button = ui.add_enabled(what.is_some(), eframe::egui::Button::new(name));
            (button.on_hover_text(what.unwrap_or_default()).clicked(), back)
        });
        for (_, back) in buttons.into_iter().filter(|(clicked, _)| *clicked) {
            state.step_history(back);
        }
    });
}

/// Which depth is shown, and whether with those above it.
fn depths(ui: &mut Ui, state: &mut State) {
    let Some(document) = &mut state.document else { return };
    let (all, mut depth) = (document.stack().depth(), document.depth + 1);
    ui.horizontal_wrapped(|ui| {
        ui.add(Slider::new(&mut depth, 1..=all).text("Depth")).on_hover_text("Keys 1 to 9");
        ui.separator();
        ui.selectable_value(&mut document.mode, Mode::Add, "Add")
            .on_hover_text("The picture of the codes from the first depth down to this one");
        ui.selectable_value(&mut document.mode, Mode::Select, "Select")
            .on_hover_text("The picture of this depth's codes alone");
    });
    state.choose_depth(depth - 1);
}
