//! The system's file dialogs. A separate thread waits for each one, so the window keeps working meanwhile.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use eframe::egui::Context;

use super::log::Level;
use super::state::State;

/// What to do with the chosen path.
type Then = Box<dyn FnOnce(&mut State, &Path) + Send>;

/// Collects the answers of open dialogs.
pub struct Dialogs {
    ctx: Context,
    sender: Sender<(Then, PathBuf)>,
    answers: Receiver<(Then, PathBuf)>,
}

impl Dialogs {
    /// Starts with no open dialog. Each answer asks `ctx` for another frame.
    pub fn new(ctx: Context) -> Self {
        let (sender, answers) = channel();
        Self { ctx, sender, answers }
    }
}

/// Returns at once. Calls `then` with the path when the user picks one in `dialog`.
pub fn ask(
    state: &mut State,
    dialog: impl Future<Output = Option<PathBuf>> + Send + 'static,
    then: impl FnOnce(&mut State, &Path) + Send + 'static,
) {
    let (ctx, sender) = (state.dialogs.ctx.clone(), state.dialogs.sender.clone());
    let wait = move || {
        if let Some(path) = pollster::block_on(dialog) {
            // Fails only if the studio has closed.
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
