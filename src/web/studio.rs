//! The program in the page itself: the studio's window. All computation is in `engine.rs`. `web/page.js` runs it.

use std::any::Any;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use async_channel::Sender;
use eframe::egui::{Context, Ui};
use eframe::{App, AppCreator, CreationContext, Frame, Storage, WebOptions, WebRunner};
use residua::app::accessible::Accessible;
use residua::app::choose::{Wanted, take};
use residua::app::log::Level;
use residua::app::{Start, Studio, fonts};
use residua_core::error::Result;
use residua_core::files::{self, Content};
use residua_core::host::{self, Host};
use residua_protocol::{Answer, Engine, Message, wire};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlCanvasElement;

/// The studio in a canvas.
#[wasm_bindgen]
pub struct Page {
    canvas: HtmlCanvasElement,
    runner: WebRunner,
    studio: Rc<RefCell<Studio>>,
    messages: Sender<Message>,
}

#[wasm_bindgen]
impl Page {
    /// Starts the studio. Optionally opens a `model` (a bundled model's name, an address, or a path that the worker knows)
    /// with its `rqvae` from elsewhere, and a `file` that the worker knows.
    pub async fn start(
        canvas: HtmlCanvasElement,
        host: Host,
        model: Option<String>,
        file: Option<String>,
        rqvae: Option<String>,
    ) -> Result<Page, JsValue> {
        console_error_panic_hook::set_once();
        host::set(host);
        let (engine, orders, messages) = Engine::remote();
        spawn_local(async move {
            while let Ok(order) = orders.recv().await {
                if let Ok(bytes) = wire::to_bytes(&order) {
                    host::post(&bytes);
                }
            }
        });
        let runner = WebRunner::new();
        let start = Start { file: file.map(Into::into), model, rqvae, in_steps: true, ..Start::default() };
        let create = window(|context| {
            let studio = Studio::new(&context.egui_ctx, engine, "cpu", start, context.storage);
            Rc::new(RefCell::new(studio))
        });
        runner.start(canvas.clone(), WebOptions::default(), create).await?;
        let studio = runner.app_mut::<Window>().map(|window| window.0.clone());
        let studio = studio.ok_or_else(|| JsError::new("the studio has stopped"))?;
        Ok(Self { canvas, runner, studio, messages })
    }

    /// Stops drawing, after the browser has taken away the canvas's graphics context.
    pub fn pause(&self) {
        self.runner.destroy();
    }

    /// Draws again, in a new graphics context.
    pub async fn resume(&self) -> Result<(), JsValue> {
        let studio = self.studio.clone();
        let create = window(move |context| {
            studio.borrow_mut().move_to(&context.egui_ctx);
            studio
        });
        self.runner.start(self.canvas.clone(), WebOptions::default(), create).await
    }

    /// Takes an answer from the worker.
    pub fn receive(&self, answer: &[u8]) -> Result<(), JsError> {
        match wire::from_bytes(answer)? {
            Answer::Message(message) => {
                // Fails only if the studio has closed.
                let _ = self.messages.try_send(message);
                self.with(|_| ());
            }
            Answer::Ready(ready) => self.with(|studio| studio.state.ready(ready)),
            Answer::Memory(bytes) => self.with(|studio| studio.state.device.memory = bytes),
            Answer::Checked(found) => self.with(|studio| studio.state.device.kernel_checks.extend(found)),
            Answer::Warning(line) => self.with(|studio| studio.state.log.add(Level::Warning, line)),
        }
        Ok(())
    }

    /// Shows fonts that have arrived.
    #[wasm_bindgen(js_name = refreshFonts)]
    pub fn refresh_fonts(&self) {
        self.with(|studio| studio.refresh_fonts());
    }

    /// Opens the file at `path`, which the worker knows: a picture or codes, anything else as a model.
    pub fn open(&self, path: &str) {
        self.with(|studio| studio.state.open_path(Path::new(path)));
    }

    /// Takes the user's choice in the dialog named `wanted`.
    pub fn chosen(&self, wanted: &str, path: &str) {
        if let Some(wanted) = Wanted::named(wanted) {
            self.with(|studio| take(&mut studio.state, wanted, Path::new(path)));
        }
    }

    /// Updates the list of models in the browser's storage; `list` is JSON.
    pub fn stored(&self, list: &str) {
        if let Ok(stored) = serde_json::from_str(list) {
            self.with(|studio| studio.state.stored = stored);
        }
    }

    /// The open stack's codes, row-major in (row, column, depth), for the browser's console.
    pub fn codes(&self) -> Option<Vec<u32>> {
        let studio = self.studio.try_borrow().ok()?;
        Some(studio.state.document.as_ref()?.stack().codes().to_vec())
    }

    /// Performs an action that assistive technology requests on an element.
    pub fn act(&self, action: &str) {
        self.with(|studio| {
            if let Err(error) = studio.act(action) {
                studio.state.log.add(Level::Warning, error.to_string());
            }
        });
    }

    /// Handles the loss of the worker; a new one is starting.
    pub fn lost(&self, reason: &str) {
        self.with(|studio| studio.state.lost(reason));
    }

    /// Adds a warning to the log.
    pub fn warn(&self, line: &str) {
        self.with(|studio| studio.state.log.add(Level::Warning, line));
    }

    /// Runs `work` on the studio, unless a panic has stopped it.
    fn with(&self, work: impl FnOnce(&mut Studio)) {
        if let Ok(mut studio) = self.studio.try_borrow_mut() {
            work(&mut studio);
            studio.repaint();
        }
    }
}

/// The canvas's app: the studio, which outlives it.
struct Window(Rc<RefCell<Studio>>);

impl App for Window {
    fn logic(&mut self, ctx: &Context, frame: &mut Frame) {
        self.0.borrow_mut().logic(ctx, frame);
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut Frame) {
        self.0.borrow_mut().ui(ui, frame);
    }

    fn save(&mut self, storage: &mut dyn Storage) {
        self.0.borrow_mut().save(storage);
    }

    fn as_any_mut(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

/// Makes a window in a new context for the studio that `studio` returns.
fn window(studio: impl FnOnce(&CreationContext) -> Rc<RefCell<Studio>> + 'static) -> AppCreator<'static> {
    Box::new(move |context| {
        fonts::install(&context.egui_ctx);
        Accessible::install(&context.egui_ctx, |update| host::mirror(&update));
        Ok(Box::new(Window(studio(context))))
    })
}

/// Makes a font available at a path.
#[wasm_bindgen]
pub fn put(path: &str, bytes: &[u8]) {
    files::put(Path::new(path), Content::Bytes(bytes.into()));
}

fn main() {
    host::construct();
}
