//! The panel "Picture": a canvas with the open picture and its cells, and the tools and views for it.

mod cached;
mod canvas;
mod cells;
mod depths;
#[cfg(not(target_family = "wasm"))]
pub(in crate::app) mod device;
mod drag;
mod errors;
mod framing;
mod residuals;
mod surprise;
mod tip;

use std::sync::Arc;

use eframe::egui::{CentralPanel, Frame, Margin, Panel, Slider, Ui};

use crate::app::action::Action;
use crate::app::choose::Wanted;
use crate::app::document::{Document, Mode};
use crate::app::icons::{Icon, IconButton};
use crate::app::state::State;
use crate::app::tool::Tool;
use cached::Cached;
use canvas::Pair;
use depths::Map;
use drag::Drags;
use errors::ErrorMap;
use framing::Draft;
use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_io::image_io::present::Shown;
use residua_protocol::Layers;

/// One picture for each depth, the first depth first.
type Maps = Arc<[Arc<Picture>]>;

/// What the canvas shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The decoded codes.
    #[default]
    Reconstruction,
    /// The picture that was encoded.
    Original,
    /// The original to the left of a line, the reconstruction to the right.
    Overlaid,
    /// The difference between the two.
    Errors,
    /// The residual norm of each cell.
    Residuals,
    /// How unlikely each cell's codes are.
    Surprise,
    /// Which part of the picture is encoded.
    Crop,
}

/// Views with their names and descriptions.
const VIEWS: [(View, &str, &str); 7] = [
    (View::Reconstruction, "Reconstruction", "The picture that the codes decode to"),
    (View::Original, "Original", "The picture that was encoded"),
    (View::Overlaid, "Overlay", "The original on the left, the reconstruction on the right; drag the line"),
    (View::Errors, "Errors", "How far the reconstruction is from the original"),
    (View::Residuals, "Residual", "The norm of each cell's residual after the chosen depth"),
    (View::Surprise, "Surprise", "How unlikely the transformer finds the codes of each cell"),
    (View::Crop, "Crop", "Which part of the picture is encoded"),
];

/// Tools with their icons, names and descriptions.
const TOOLS: [(Tool, Icon, &str, &str); 4] = [
    (Tool::Pin, Icon::Pin, "Pin", "Click a cell to see and change its codes"),
    (Tool::Revise, Icon::Revise, "Revise", "Paint over cells: the model resamples them"),
    (Tool::Brush, Icon::Brush, "Brush", "Drag over cells to select them; hold Shift to deselect"),
    (
        Tool::Rectangle,
        Icon::Rectangle,
        "Rectangle",
        "Drag over the picture to select its cells; hold Shift to deselect",
    ),
];

/// Screen pixels per picture pixel, by name; 0 fits the picture into the panel.
const ZOOMS: [(f32, &str); 3] = [(0.0, "Fit"), (1.0, "1:1"), (4.0, "4:1")];

/// State of the panel, and its cached maps.
pub struct PictureView {
    /// What the canvas shows.
    pub view: View,
    /// Screen pixels per picture pixel; 0 fits the picture into the panel.
    pub zoom: f32,
    /// Position of the wipe, from 0 at the left to 1.
    pub wipe: f32,
    /// How much of the picture a map covers, from the left, from 0 to 1.
    pub cover: f32,
    /// The error that gets the brightest colour, in 8-bit levels.
    pub brightest: u8,
    /// Whether to draw grid lines between cells.
    lines: bool,
    /// What the maps by depth show.
    map: Map,
    /// Drags over the cells.
    strokes: Drags,
    /// The cells that were selected before the last stroke.
    before: Vec<[usize; 2]>,
    /// Drags of the wipe's line.
    wiping: Drags,
    /// Position of the wipe before the last drag.
    wiped: f32,
    draft: Option<Draft>,
    errors: Option<ErrorMap>,
    codes: Cached<CodeStack, Maps>,
    residuals: Cached<Layers, Maps>,
    added: Cached<Layers, Maps>,
}

impl Default for PictureView {
    fn default() -> Self {
        Self {
            view: View::default(),
            zoom: 0.0,
            wipe: 0.5,
            cover: 1.0,
            brightest: 64,
            lines: true,
            map: Map::default(),
            strokes: Drags::default(),
            before: Vec::new(),
            wiping: Drags::default(),
            wiped: 0.5,
            draft: None,
            errors: None,
            codes: Cached::default(),
            residuals: Cached::default(),
            added: Cached::default(),
        }
    }
}

impl PictureView {
    /// Whether the canvas shows a map over the picture.
    fn is_map(&self) -> bool {
        matches!(self.view, View::Errors | View::Residuals | View::Surprise)
    }

    /// What the canvas shows of a pair, and its accessible name.
    fn shown(&self) -> (Shown, &'static str) {
        match self.view {
            View::Original => (Shown::Original, "Original picture"),
            View::Overlaid => (Shown::Wipe { place: self.wipe }, "Original and reconstruction"),
            View::Errors => (
                Shown::Errors { brightest: f32::from(self.brightest) / 255.0 },
                "Errors of the reconstruction",
            ),
            View::Reconstruction | View::Residuals | View::Surprise | View::Crop => {
                (Shown::Picture, "Reconstruction picture")
            }
        }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, view: &mut PictureView, actions: &mut Vec<Action>) {
    toolbar(ui, state, actions);
    let Some(document) = &state.document else {
        ui.centered_and_justified(|ui| {
            ui.label("Open a picture to see its codes: drop it on the window, paste it, or press Ctrl+O.");
        });
        return;
    };
    // Pictures can be large: drop a draft of one that is no longer open.
    view.draft.take_if(|draft| document.source.as_ref().is_none_or(|source| !draft.is_of(source)));
    views(ui, view);
    if view.view == View::Crop {
        return framing::show(ui, document, view, actions);
    }
    let margin = Frame::new().inner_margin(Margin { top: 4, ..Margin::ZERO });
    let below = Panel::bottom("about the view").frame(margin).show_separator_line(false);
    below.show(ui, |ui| about(ui, state, document, view));
    let margin = Frame::new().inner_margin(Margin { right: 4, ..Margin::ZERO });
    let strip = Panel::left("depths").exact_size(depths::WIDTH).resizable(false).frame(margin);
    strip.show(ui, |ui| depths::show(ui, document, view, actions));
    CentralPanel::no_frame().show(ui, |ui| picture(ui, state, document, view, actions));
}

/// Shows file buttons, tools, undo and redo.
fn toolbar(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        let file = |icon, name| IconButton { icon, name, has_word: false, chosen: None };
        if ui.add(file(Icon::Open, "Open picture…")).clicked() {
            actions.push(Action::Choose(Wanted::Picture));
        }
        let seen = state.document.as_ref().is_some_and(|document| document.seen.is_some());
        if ui.add_enabled(seen, file(Icon::Save, "Save picture…")).clicked() {
            actions.push(Action::SavePicture);
        }
        let Some(document) = &state.document else { return };
        ui.separator();
        for (tool, icon, name, help) in TOOLS {
            let button = IconButton { icon, name, has_word: true, chosen: Some(state.tool == tool) };
            if ui.add(button).on_hover_text(help).clicked() {
                actions.push(Action::Use(tool));
            }
        }
        ui.separator();
        history(ui, document, actions);
    });
}

fn history(ui: &mut Ui, document: &Document, actions: &mut Vec<Action>) {
    let steps = [
        (Icon::Undo, "Undo", document.undoable(), Action::Undo),
        (Icon::Redo, "Redo", document.redoable(), Action::Redo),
    ];
    for (icon, name, what, step) in steps {
        let button = IconButton { icon, name, has_word: true, chosen: None };
        if ui.add_enabled(what.is_some(), button).on_hover_text(what.unwrap_or_default()).clicked() {
            actions.push(step);
        }
    }
}

/// Shows the view and zoom settings, and whether there are grid lines.
fn views(ui: &mut Ui, PictureView { view: chosen, zoom: now, lines, .. }: &mut PictureView) {
    ui.horizontal_wrapped(|ui| {
        for (view, name, help) in VIEWS {
            ui.selectable_value(chosen, view, name).on_hover_text(help);
        }
        ui.separator();
        for (zoom, name) in ZOOMS {
            ui.selectable_value(now, zoom, name);
        }
        ui.checkbox(lines, "Grid lines");
    });
}

/// Shows the picture's name and quality, and the view's colour scale.
fn about(ui: &mut Ui, state: &State, document: &Document, view: &mut PictureView) {
    match view.view {
        View::Overlaid => {
            let help = "The original on the left, the reconstruction on the right";
            wipe_slider(ui, &mut view.wipe, help);
        }
        View::Errors => errors::scale(ui, &mut view.brightest),
        View::Residuals => residuals::scale(ui, document),
        View::Surprise => surprise::scale(ui, state, document),
        View::Reconstruction | View::Original | View::Crop => (),
    }
    if view.is_map() {
        wipe_slider(ui, &mut view.cover, "The map on the left, the reconstruction on the right");
    }
    ui.horizontal_wrapped(|ui| {
        ui.label(&document.name);
        ui.weak(quality(document));
    });
}

fn wipe_slider(ui: &mut Ui, wipe: &mut f32, help: &str) {
    let mut percent = *wipe * 100.0;
    let slider = Slider::new(&mut percent, 0.0..=100.0).suffix(" %").fixed_decimals(0).text("Wipe");
    if ui.add(slider).on_hover_text(help).changed() {
        *wipe = percent / 100.0;
    }
}

/// The quality of the picture shown, in one line.
fn quality(document: &Document) -> String {
    let (depth, of) = (document.depth + 1, document.stack().depth());
    let whole = depth == of && document.mode == Mode::Add;
    match (&document.seen, &document.layers) {
        (Some(seen), _) if whole => {
            let quality = match seen.quality {
                Some((psnr, ssim)) => format!("PSNR {psnr:.2} dB, SSIM {ssim:.3}, "),
                None => String::new(),
            };
            format!("{quality}{:.3} bits/pixel", seen.bits_per_pixel)
        }
        (_, Some(layers)) if document.mode == Mode::Add => match layers.rate_distortion.get(document.depth) {
            Some((rate, psnr)) => {
                format!("Codes 1 to {depth} of {of}: PSNR {psnr:.2} dB, {rate:.3} bits/pixel")
            }
            None => String::new(),
        },
        _ => format!("Code {depth} of {of} alone"),
    }
}

/// Shows the canvas: the picture with its cells on top.
fn picture(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    view: &mut PictureView,
    actions: &mut Vec<Action>,
) {
    let pair = document.shown().map(|picture| pair(document, picture, state.device.draws));
    let Some(pair) = pair else {
        ui.centered_and_justified(|ui| ui.label("decoding…"));
        return;
    };
    if pair.original.is_none() && matches!(view.view, View::Original | View::Overlaid | View::Errors) {
        ui.label("There is no original: these codes were opened without a picture.");
        return;
    }
    canvas::show(ui, state, document, view, actions, &pair);
}

/// The reconstruction and original of a document.
fn pair(document: &Document, picture: &Arc<Picture>, draws_on_device: bool) -> Pair {
    let original = document.original.clone().filter(|original| same_size(original, picture));
    let whole = document.seen.as_ref().filter(|seen| Arc::ptr_eq(&seen.picture, picture));
    let on_device = whole.and_then(|seen| seen.on_device.clone()).filter(|_| draws_on_device);
    Pair { picture: picture.clone(), original, on_device }
}

fn same_size(a: &Picture, b: &Picture) -> bool {
    (a.width(), a.height()) == (b.width(), b.height())
}
