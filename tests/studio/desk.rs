//! Drives a studio: clicks go in by name, frames come out, and nothing sleeps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{DroppedFile, Event, Modifiers, PointerButton, Pos2, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use residua::app::files::Saved;
use residua::app::state::State;
use residua::app::{Start, Studio};
use residua_core::codes::CodeStack;

use crate::named;

/// The studio and its frames.
pub struct Desk {
    pub harness: Harness<'static, Studio>,
}

/// An autoregressive model of random weights, with ten classes without names, pictures of 32x32 pixels and 64 codes.
pub const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rqt-class");

/// Its RQ-VAE.
pub const SMALL_RQVAE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rqvae-shared");

/// A picture of 128x128 pixels, of the family that the bundled models know. The studio begins with another one.
pub const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/samples/blue-beard.png");

/// The small model and the picture.
pub fn small() -> Start {
    Start { model: Some(SMALL.into()), file: Some(PICTURE.into()), ..Start::default() }
}

/// The bundled autoregressive model and the picture.
pub fn autoregressive() -> Start {
    Start { model: Some("characters-128-ar".into()), ..small() }
}

impl Desk {
    /// Opens the studio with [`small`], and waits until both are loaded.
    pub fn new() -> Self {
        Self::with(small(), Vec2::new(1280.0, 800.0))
    }

    /// The same in a large window.
    pub fn large() -> Self {
        Self::with(small(), Vec2::new(1600.0, 1200.0))
    }

    /// The same as [`Self::new`], with names for the classes.
    pub fn with_names() -> Self {
        let folder = tempfile::tempdir().unwrap();
        named::write(folder.path());
        let model = folder.path().to_str().map(String::from);
        Self::with(Start { model, ..small() }, Vec2::new(1280.0, 800.0))
    }

    /// Opens the studio as at its first start, with the default model and the sample image.
    pub fn first() -> Self {
        Self::with(Start::default(), Vec2::new(1280.0, 800.0))
    }

    /// Opens the studio with `start`, and waits until all is loaded.
    pub fn with(start: Start, size: Vec2) -> Self {
        let mut desk = Self::begun(start, size);
        desk.settle();
        desk
    }

    /// Opens the studio with `start`.
    pub fn begun(start: Start, size: Vec2) -> Self {
        let harness = Harness::builder().with_size(size).with_max_steps(64).build_eframe(|context| {
            let engine = residua_engine::studio::start(residua_kernels::device::cpu(), || ());
            Studio::new(&context.egui_ctx, engine, "cpu", start, None)
        });
        Self { harness }
    }

    /// Shows frames until nothing changes, waiting for the engine while it is busy.
    pub fn settle(&mut self) {
        loop {
            self.harness.run();
            if !self.harness.state().state.is_busy() {
                return;
            }
            self.harness.state_mut().state.wait();
        }
    }

    /// The state that the panels show.
    pub fn state(&self) -> &State {
        &self.harness.state().state
    }

    /// The open codes.
    pub fn stack(&self) -> Arc<CodeStack> {
        self.state().document.as_ref().expect("the sample is open").stack().clone()
    }

    /// The selected cells of the sample, which has 8 rows and columns.
    pub fn selected(&self) -> Vec<[usize; 2]> {
        let selected = &self.state().document.as_ref().expect("the sample is open").selected;
        (0..64).filter(|&cell| selected[cell]).map(|cell| [cell / 8, cell % 8]).collect()
    }

    /// Clicks the widget with this name, and waits until all its effects are done.
    pub fn click(&mut self, name: &str) {
        self.begin(name);
        self.settle();
    }

    /// Clicks the widget with this name without waiting.
    pub fn begin(&mut self, name: &str) {
        self.harness.get_by_label(name).click();
        self.harness.run();
    }

    /// Begins to save the open picture at `path`, as if the user had chosen it in the dialog.
    pub fn save(&mut self, path: &Path) {
        let state = &mut self.harness.state_mut().state;
        Saved::of(state).expect("a picture is open").write(state, path);
    }

    /// True if a widget has this name.
    pub fn shows(&self, name: &str) -> bool {
        self.harness.query_all_by_label(name).next().is_some()
    }

    /// Double-clicks the widget with this name within one frame, and waits until all its effects are done.
    pub fn double_click(&mut self, name: &str) {
        let pos = self.harness.get_by_label(name).rect().center();
        self.harness.hover_at(pos);
        self.harness.run();
        let clicks = [true, false, true, false].map(|pressed| button(pos, pressed));
        self.harness.input_mut().events.extend(clicks);
        self.settle();
    }

    /// Enters a number into the field with this name.
    pub fn enter(&mut self, name: &str, value: f64) {
        self.harness.get_by_label(name).set_value_accesskit(value);
        self.harness.run();
    }

    /// Types `text` into the field with this name, and waits until all its effects are done.
    pub fn type_into(&mut self, name: &str, text: &str) {
        let field = self.harness.get_by_label(name);
        field.focus();
        field.type_text(text);
        self.settle();
    }

    /// Presses on the first cell, moves to the last, lets go, and waits until all effects are done.
    pub fn paint(&mut self, from: [usize; 2], to: [usize; 2]) {
        self.begin_to_paint(from, to);
        self.settle();
    }

    /// Presses on the first cell, moves to the last and lets go, without waiting.
    pub fn begin_to_paint(&mut self, from: [usize; 2], to: [usize; 2]) {
        let (from, to) = (self.center(from), self.center(to));
        self.harness.drag_at(from);
        self.harness.run();
        self.harness.hover_at(from + (to - from) * 0.5);
        self.harness.run();
        self.harness.hover_at(to);
        self.harness.run();
        self.harness.drop_at(to);
        self.harness.run();
    }

    /// For each stroke, presses on its first cell, moves over the others and lets go, all within one frame. Waits until all
    /// effects are done.
    pub fn paint_at_once(&mut self, strokes: &[&[[usize; 2]]]) {
        let points =
            |cells: &&[[usize; 2]]| cells.iter().map(|&cell| self.center(cell)).collect::<Vec<Pos2>>();
        let drags: Vec<Vec<Pos2>> = strokes.iter().map(points).collect();
        self.drag_at_once(&drags);
    }

    /// For each drag, presses at its first point, moves to the others and lets go, all within one frame. Waits until all
    /// effects are done.
    pub fn drag_at_once(&mut self, drags: &[Vec<Pos2>]) {
        let mut events = Vec::new();
        for points in drags {
            events.push(button(points[0], true));
            events.extend(points.iter().copied().map(Event::PointerMoved));
            events.push(button(points[points.len() - 1], false));
        }
        self.harness.input_mut().events.extend(events);
        self.settle();
    }

    /// The middle of a cell.
    pub fn center(&self, [row, col]: [usize; 2]) -> Pos2 {
        self.harness.get_by_label(&format!("row {row}, column {col}")).rect().center()
    }

    /// Drops the file at `path` on the window, and waits until all its effects are done.
    pub fn drop_file(&mut self, path: &Path) {
        self.begin_drop(path);
        self.settle();
    }

    /// Drops the file at `path` on the window without waiting.
    pub fn begin_drop(&mut self, path: &Path) {
        self.harness.input_mut().dropped_files.push(Arc::new(Dropped(path.into())));
        self.harness.run();
    }
}

/// A press of the mouse, or its release.
pub fn button(pos: Pos2, pressed: bool) -> Event {
    Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE }
}

/// A file as the window system provides it.
#[derive(Debug)]
struct Dropped(PathBuf);

impl DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}
