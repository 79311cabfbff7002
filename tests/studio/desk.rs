//! A studio on a desk: clicks go in by name, frames come out, and nothing sleeps.

use eframe::egui::Vec2;
use egui_kittest::Harness;
use residua::app::{Start, Studio};
use residua::engine::studio::Engine;

/// The studio, and its frames.
pub struct Desk {
    pub harness: Harness<'static, Studio>,
}

impl Desk {
    /// Opens the studio with the bundled model and the sample picture, and waits until both are there.
    pub fn new() -> Self {
        Self::with(Start::default(), Vec2::new(1280.0, 800.0))
    }

    /// Opens the studio as `start` says.
    pub fn with(start: Start, size: Vec2) -> Self {
        let harness = Harness::builder().with_size(size).with_max_steps(64).build_eframe(|context| {
            let engine = Engine::start(residua::device::cpu(), || ());
            Studio::new(&context.egui_ctx, engine, "cpu", start, None)
        });
        let mut desk = Self { harness };
        desk.settle();
        desk
    }

    /// Shows frames until nothing moves, waiting for the engine where it is at work.
    pub fn settle(&mut self) {
        loop {
            self.harness.run();
            if !self.harness.state().state.is_busy() {
                return;
            }
            self.harness.state_mut().state.wait();
        }
    }
}
