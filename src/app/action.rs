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
    /// Replaces the settings.
    Set(Box<Settings>),
    /// Stops all jobs but those that save files.
    Cancel,
    /// Undoes the last edit.
    Undo,
    /// Redoes the edit that was undone last.
    Redo,
    /// Hides the first steps.
    DismissHint,
    /// Hides the latest warning or error.
    DismissNotice,
    /// Hides why a model could not be loaded.
    DismissFailure,
    /// Empties the log.
    ClearLog,
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
    /// Takes another seed for the next pictures.
    NextSeed,
    /// Samples new pictures.
    Generate,
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
    /// Requests the details of the pinned code.
    LookAtPinned,
    /// Requests how unlikely the transformer finds the open codes.
    AskSurprise,
    /// Changes the code at a row, column and depth.
    SetCode([usize; 3], u32),
    /// Takes the selected cells from another stack.
    Swap(Arc<CodeStack>),
    /// Limits the selected cells to their first codes.
    Limit(usize),
    /// Restores the codes as opened, of the selected cells or of all if none are selected.
    ResetSelected,
    /// Resamples the selected cells.
    ResampleSelected,
    /// Revises the selected cells.
    ReviseSelected,
    /// Repeats the last revision with another seed.
    ReviseAgain,
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
    /// Restores the sampling settings of the chosen picture.
    RestoreChosen,
    /// Compares the two chosen pictures.
    CompareChosen,
    /// Closes the comparison.
    CloseComparison,
    /// Asks where to save the chosen picture.
    SaveChosen,
    /// Asks where to save the codes of the chosen picture.
    SaveChosenCodes,
    /// Removes the chosen pictures from the gallery.
    RemoveChosen,
    /// Undoes the choice of all pictures.
    ChooseNone,
    /// Asks where to save a grid of the chosen pictures, or of all if none is chosen.
    ExportGrid,
    /// Asks where to save the open picture.
    SavePicture,
    /// Asks where to save the open codes.
    SaveCodes,
    /// Adds the open picture to the gallery.
    Keep,
    /// Checks whether a folder has a training run.
    #[cfg(not(target_family = "wasm"))]
    LookForRun(PathBuf),
    /// Opens a dialog with this title for a file, or for a folder if true. Its path is sent.
    #[cfg(not(target_family = "wasm"))]
    Pick(&'static str, bool, Sender<PathBuf>),
    /// Starts a training run, which redraws the window when there is news.
    #[cfg(not(target_family = "wasm"))]
    Train(Box<TrainOptions>, Context),
    /// Pauses the training run, or continues it.
    #[cfg(not(target_family = "wasm"))]
    PauseRun(bool),
    /// Ends the training run with a checkpoint.
    #[cfg(not(target_family = "wasm"))]
    StopRun,
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
    fn apply(self, state: &mut State) {
        match self {
            Self::Set(settings) => state.settings = *settings,
            Self::Cancel => state.cancel(),
            Self::Undo => state.step_history(true),
            Self::Redo => state.step_history(false),
            Self::DismissHint => state.settings.hint = false,
            Self::DismissNotice => state.log.notice = None,
            Self::DismissFailure => state.loading.failure = None,
            Self::ClearLog => state.log.clear(),
            Self::Choose(wanted) => choose::open(state, wanted),
            Self::Load(model, rqvae) => state.load(&model, rqvae),
            Self::NameRqVae(place) => state.loading.rqvae = place,
            Self::Stop(job) => state.stop(job),
            Self::SetCondition(condition) => state.condition = condition,
            Self::SetOpenCondition(condition) => state.set_condition(condition),
            Self::NextSeed => state.settings.next_seed(),
            Self::Generate => state.generate(),
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
            Self::LookAtPinned => state.look_at_pinned(),
            Self::AskSurprise => state.ask_surprise(),
            Self::SetCode([row, col, depth], code) => {
                state.edit(|document| document.set_code([row, col], depth, code));
            }
            Self::Swap(stack) => state.edit(|document| document.take_selected(&stack)),
            Self::Limit(limit) => state.edit(|document| Ok(document.limit_selected(limit))),
            Self::ResetSelected => state.edit(|document| Ok(document.reset_selected())),
            Self::ResampleSelected => state.resample_selected(),
            Self::ReviseSelected => state.revise_selected(),
            Self::ReviseAgain => state.revise_again(),
            Self::SetStrength(strength) => state.revising.strength = strength,
            Self::ReviseRectangles(rectangle) => state.revising.rectangle = rectangle,
            Self::ReviseAs(condition) => state.revising.condition = condition,
            Self::ReviseWorst(count) => state.revise_worst(count),
            Self::NeedPatches(depth, codes) => state.need_patches(depth, codes),
            Self::Browse(depth, code) => state.browse(depth, code),
            Self::Toggle(index) => state.gallery.toggle(index),
            Self::OpenItem(index) => state.open_item(index),
            Self::SaveMorph(plan) => files::save_morph(state, plan),
            Self::RestoreChosen => state.restore_chosen(),
            Self::CompareChosen => state.compare_chosen(),
            Self::CloseComparison => state.gallery.comparison = None,
            Self::SaveChosen => files::save_chosen(state),
            Self::SaveChosenCodes => files::save_chosen_codes(state),
            Self::RemoveChosen => state.remove_chosen(),
            Self::ChooseNone => state.gallery.chosen.clear(),
            Self::ExportGrid => files::export_grid(state),
            Self::SavePicture => state.once_decoded(files::save_picture),
            Self::SaveCodes => files::save_codes(state),
            Self::Keep => state.once_decoded(State::keep),
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
            Self::PauseRun(pause) => state.training.pause(pause),
            #[cfg(not(target_family = "wasm"))]
            Self::StopRun => state.training.stop(),
            #[cfg(not(target_family = "wasm"))]
            Self::RefuseRun(reason) => state.training.refuse(reason),
        }
    }
}
