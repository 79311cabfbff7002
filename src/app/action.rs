//! What the user asks for. Whatever draws only reads the state; the actions are applied here, after it is drawn.

#[cfg(not(target_family = "wasm"))]
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(not(target_family = "wasm"))]
use std::sync::mpsc::Sender;

use eframe::egui::Context;

use super::choose::{self, Wanted};
use super::document::Mode;
use super::files;
use super::settings::Settings;
use super::state::State;
use super::tool::Tool;
use residua_core::codes::CodeStack;
#[cfg(not(target_family = "wasm"))]
use residua_engine::train::TrainOptions;
use residua_io::image_io::framing::Framing;
use residua_protocol::{Condition, JobId, MorphPlan};

/// Something that the user asks for.
pub enum Action {
    /// What needs no details.
    Do(fn(&mut State)),
    /// Replaces the settings.
    Set(Box<Settings>),
    /// Opens a file or folder dialog.
    Choose(Wanted),
    /// Loads a model, with the RQ-VAE at this place if there is one.
    Load(String, Option<String>),
    /// Names the RQ-VAE for the transformers to load.
    NameRqVae(String),
    /// Stops a job.
    Stop(JobId),
    /// Sets the condition of new pictures.
    SetCondition(Condition),
    /// Sets the condition of the open picture.
    SetOpenCondition(Condition),
    /// Requests how the tokenizer reads a caption.
    CountTokens(String),
    /// Samples pictures that share these codes with the open one.
    Vary(Vec<bool>),
    /// Changes the tool.
    Use(Tool),
    /// Pins the cell in this row and column.
    Pin([usize; 2]),
    /// Moves the pin by rows and columns.
    MovePin([isize; 2]),
    /// Views a depth, from 0.
    ChooseDepth(usize),
    /// Views the layers summed or alone.
    ChooseMode(Mode),
    /// Encodes another part of the open picture.
    Reframe(Framing),
    /// Selects these cells, or deselects them.
    Select(Vec<[usize; 2]>, bool),
    /// Selects the cells for which this is true, given whether they are selected now.
    SelectBy(fn(bool) -> bool),
    /// Changes the code at a row, column and depth.
    SetCode([usize; 3], u32),
    /// Takes the selected cells from another stack.
    Swap(Arc<CodeStack>),
    /// Limits the selected cells to their first codes.
    Limit(usize),
    /// Sets how many codes of a cell a revision resamples; `None`: all.
    SetStrength(Option<usize>),
    /// Sets whether strokes revise rectangles, rather than the cells that they pass.
    ReviseRectangles(bool),
    /// Sets the condition of revised cells; `None`: the picture's.
    ReviseAs(Option<Condition>),
    /// Revises this many of the worst cells.
    ReviseWorst(u32),
    /// Requests the pictures of codes at a depth.
    NeedPatches(usize, Vec<u32>),
    /// Looks up the neighbours of a code at a depth.
    Browse(usize, u32),
    /// Chooses the gallery's picture at this index, or undoes the choice.
    Toggle(usize),
    /// Opens the gallery's picture at this index.
    OpenItem(usize),
    /// Asks where to save a morph, and makes it.
    SaveMorph(MorphPlan),
    /// Checks whether a folder has a training run.
    #[cfg(not(target_family = "wasm"))]
    LookForRun(PathBuf),
    /// Opens a dialog with this title for a file, or for a folder if true. Its path is sent.
    #[cfg(not(target_family = "wasm"))]
    Pick(&'static str, bool, Sender<PathBuf>),
    /// Starts a training run, which redraws the window when there is news.
    #[cfg(not(target_family = "wasm"))]
    Train(Box<TrainOptions>, Context),
    /// Says why a training run cannot start.
    #[cfg(not(target_family = "wasm"))]
    RefuseRun(String),
}

/// Applies `actions` in their order, and shows the result in another frame.
pub fn apply(actions: Vec<Action>, state: &mut State, ctx: &Context) {
    if !actions.is_empty() {
        ctx.request_repaint();
    }
    actions.into_iter().for_each(|action| action.apply(state));
}

impl Action {
    /// Undoes the last edit.
    pub const UNDO: Self = Self::Do(|state| state.step_history(true));
    /// Redoes the edit that was undone last.
    pub const REDO: Self = Self::Do(|state| state.step_history(false));

    fn apply(self, state: &mut State) {
        match self {
            Self::Do(action) => action(state),
            Self::Set(settings) => state.settings = *settings,
            Self::Choose(wanted) => choose::open(state, wanted),
            Self::Load(model, rqvae) => state.load(&model, rqvae),
            Self::NameRqVae(place) => state.rqvae = place,
            Self::Stop(job) => state.stop(job),
            Self::SetCondition(condition) => state.condition = condition,
            Self::SetOpenCondition(condition) => state.set_condition(condition),
            Self::CountTokens(caption) => state.count_tokens(&caption),
            Self::Vary(keep) => state.vary(keep),
            Self::Use(tool) => state.tool = tool,
            Self::Pin(cell) => state.pin(Some(cell)),
            Self::MovePin(by) => state.move_pin(by),
            Self::ChooseDepth(depth) => state.choose_depth(depth),
            Self::ChooseMode(mode) => state.choose_mode(mode),
            Self::Reframe(framing) => state.reframe(framing),
            Self::Select(cells, selected) => state.select(&cells, selected),
            Self::SelectBy(selector) => state.select_by(selector),
            Self::SetCode([row, col, depth], code) => {
                state.edit(|document| document.set_code([row, col], depth, code));
            }
            Self::Swap(stack) => state.edit(|document| document.take_selected(&stack)),
            Self::Limit(limit) => state.edit(|document| Ok(document.limit_selected(limit))),
            Self::SetStrength(strength) => state.revising.strength = strength,
            Self::ReviseRectangles(rectangle) => state.revising.rectangle = rectangle,
            Self::ReviseAs(condition) => state.revising.condition = condition,
            Self::ReviseWorst(count) => state.revise_worst(count),
            Self::NeedPatches(depth, codes) => state.need_patches(depth, codes),
            Self::Browse(depth, code) => state.browse(depth, code),
            Self::Toggle(index) => state.gallery.toggle(index),
            Self::OpenItem(index) => state.open_item(index),
            Self::SaveMorph(plan) => files::save_morph(state, plan),
            #[cfg(not(target_family = "wasm"))]
            Self::LookForRun(folder) => state.look_for_run(folder),
            #[cfg(not(target_family = "wasm"))]
            Self::Pick(title, folder, to) => choose::pick(state, title, folder, &[], move |_, path| {
                // Fails only if the studio has closed.
                let _ = to.send(path.into());
            }),
            #[cfg(not(target_family = "wasm"))]
            Self::Train(options, ctx) => state.train(*options, &ctx),
            #[cfg(not(target_family = "wasm"))]
            Self::RefuseRun(reason) => state.training.refuse(reason),
        }
    }
}
