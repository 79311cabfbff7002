//! The system's file dialogs. A separate thread waits for each one, so the window keeps working meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use eframe::egui::Context;

/// What to do to `S` with the chosen path.
type Then<S> = Box<dyn FnOnce(&mut S, &Path) + Send>;

/// Collects the answers of open dialogs, each with what it does to `S`.
pub struct Dialogs<S> {
    ctx: Context,
    sender: Sender<(Then<S>, PathBuf)>,
    answers: Receiver<(Then<S>, PathBuf)>,
}

impl<S: 'static> Dialogs<S> {
    /// Starts with no open dialog. Each answer asks `ctx` for another frame.
    pub fn new(ctx: Context) -> Self {
        let (sender, answers) = channel();
        Self { ctx, sender, answers }
    }

    /// Returns at once. When the user picks a path in `dialog`, it is an answer, together with `then`.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn ask(
        &self,
        dialog: impl Future<Output = Option<PathBuf>> + Send + 'static,
        then: impl FnOnce(&mut S, &Path) + Send + 'static,
    ) -> io::Result<()> {
        let (ctx, sender) = (self.ctx.clone(), self.sender.clone());
        let wait = move || {
            if let Some(path) = pollster::block_on(dialog) {
                // Fails only if the studio has closed.
                let _ = sender.send((Box::new(then), path));
                ctx.request_repaint();
            }
        };
        thread::Builder::new().name("dialog".into()).spawn(wait).map(drop)
    }

    /// The next answer that has arrived: what to do, and the chosen path.
    pub fn answer(&self) -> Option<(Then<S>, PathBuf)> {
        self.answers.try_recv().ok()
    }
}
