//! The system's file dialogs, each on a thread of its own: the window goes on while one is open.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use eframe::egui::Context;

use super::log::Level;
use super::state::State;

/// What is done with the path that is chosen.
type Then = Box<dyn FnOnce(&mut State, &Path) + Send>;

/// The dialogs that are open, and the answers that have come.
pub struct Dialogs {
    ctx: Context,
    sender: Sender<(Then, PathBuf)>,
    answers: Receiver<(Then, PathBuf)>,
}

impl Dialogs {
    /// None is open yet. An answer makes `ctx` draw another frame.
    pub fn new(ctx: Context) -> Self {
        let (sender, answers) = channel();
        Self { ctx, sender, answers }
    }
}

/// Waits for a dialog beside the window, and then does `then` with the path, if one is chosen.
pub fn ask(
    state: &mut State,
    dialog: impl Future<Output = Option<PathBuf>> + Send + 'static,
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    let (ctx, sender) = (state.dialogs.ctx.clone(), state.dialogs.sender.clone());
    let wait = move || {
        if let Some(path) = pollster::block_on(dialog) {
            // A studio that is closed takes no answer.
            let _ = sender.send((Box::new(then), path));
            ctx.request_repaint();
        }
    };
    if let Err(error) = thread::Builder::new().name("dialog".into()).spawn(wait) {
        state.log.add(Level::Error, format!("no file dialog could be opened: {error}"));
    }
}

/// Does what the answers that have come are wanted for.
pub fn receive(state: &mut State) {
    while let Ok((then, path)) = state.dialogs.answers.try_recv() {
        then(state, &path);
    }
}
