//! The system's file dialogs. Each is awaited on a thread of its own, so the window keeps working while one is open.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use eframe::egui::Context;

use super::log::Level;
use super::state::State;

/// What to do with the chosen path.
type Then = Box<dyn FnOnce(&mut State, &Path) + Send>;

/// The answers of the dialogs that are open.
pub struct Dialogs {
    ctx: Context,
    sender: Sender<(Then, PathBuf)>,
    answers: Receiver<(Then, PathBuf)>,
}

impl Dialogs {
    /// No dialog is open yet. Each answer asks `ctx` for another frame.
    pub fn new(ctx: Context) -> Self {
        let (sender, answers) = channel();
        Self { ctx, sender, answers }
    }
}

/// Returns at once. When the person picks a path in `dialog`, `then` is called with it.
pub fn ask(
    state: &mut State,
    dialog: impl Future<Output = Option<PathBuf>> + Send + 'static,
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    let (ctx, sender) = (state.dialogs.ctx.clone(), state.dialogs.sender.clone());
    let wait = move || {
        if let Some(path) = pollster::block_on(dialog) {
            // If the studio has closed, nobody listens.
            let _ = sender.send((Box::new(then), path));
            ctx.request_repaint();
        }
    };
    if let Err(error) = thread::Builder::new().name("dialog".into()).spawn(wait) {
        state.log.add(Level::Error, format!("no file dialog could be opened: {error}"));
    }
}

/// Acts on the answers that have arrived.
pub fn receive(state: &mut State) {
    while let Ok((then, path)) = state.dialogs.answers.try_recv() {
        then(state, &path);
    }
}
