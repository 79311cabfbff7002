//! Records the animation in the README: the first minute of a new user, played in the studio itself. `just animation` runs it.

use std::sync::Arc;

use eframe::egui::{Event, Key, Modifiers, PointerButton, Pos2, Theme};
use egui_kittest::kittest::Queryable;
use image::{DynamicImage, RgbImage};
use residua_io::image_io::Picture;
use residua_io::image_io::animation::{Frame, encode_frames};

use crate::desk::Desk;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/images/editor.png");

const CAPTION: &str = "a blue cat with a red scarf";
/// The seed of the first revision. The others follow from it.
const SEED: u64 = 0;
/// The cells that the brush passes: there and back over the glasses.
const GLASSES: [[usize; 2]; 4] = [[2, 4], [2, 7], [3, 7], [3, 2]];

/// How long a frame of a movement is shown, in milliseconds.
const STEP: u16 = 80;
/// How long a preview or a typed word is shown, in milliseconds.
const TICK: u16 = 160;
/// Frames of a movement of the pointer.
const STEPS: u8 = 3;
/// Previews of a job that are shown.
const MOST_PREVIEWS: usize = 6;
/// Changes of a pixel up to this are left out, in levels of 255. Each code changes the whole picture, most of it invisibly.
const INVISIBLE: u8 = 4;

#[test]
#[ignore = "writes docs/src/images/editor.png"]
fn the_animation_of_the_readme_is_recorded() {
    let mut film = Film::new(Desk::first());
    film.finish(1200);
    // The picture is built from stacked codes.
    for depth in 1..=4 {
        film.click(&format!("show depth {depth}"), 700);
    }
    // Each cell has a stack of its own.
    film.click("row 3, column 5", 1800);
    // The model has other ideas for painted cells.
    film.click("Revise", 400);
    film.paint(&GLASSES, 1400);
    film.click("Again", 1400);
    film.click("Undo", 600);
    film.click("Undo", 800);
    // New pictures come from a caption.
    film.type_into("Caption", CAPTION);
    film.click("Generate (Ctrl+Enter)", 2600);
    film.save();
}

/// A recording of a desk.
struct Film {
    desk: Desk,
    /// Where the pointer is. The harness draws it.
    pointer: Pos2,
    frames: Vec<Frame>,
}

impl Film {
    /// Prepares the desk: light, with a known seed, and without tooltips, which would cover what changes.
    fn new(mut desk: Desk) -> Self {
        desk.harness.ctx.set_theme(Theme::Light);
        desk.harness.ctx.all_styles_mut(|style| style.interaction.tooltip_delay = f32::INFINITY);
        desk.harness.state_mut().state.settings.seed = SEED;
        Self { desk, pointer: Pos2::new(900.0, 700.0), frames: Vec::new() }
    }

    /// Clicks the widget with this name, and shows what follows for `milliseconds`.
    fn click(&mut self, name: &str, milliseconds: u16) {
        self.glide(self.center(name));
        self.press(true);
        self.press(false);
        self.finish(milliseconds);
    }

    /// Presses on the first cell, moves over the others and lets go, and shows the result for `milliseconds`.
    fn paint(&mut self, cells: &[[usize; 2]], milliseconds: u16) {
        let center = |[row, col]: &[usize; 2]| self.center(&format!("row {row}, column {col}"));
        let centers: Vec<Pos2> = cells.iter().map(center).collect();
        for (index, place) in centers.into_iter().enumerate() {
            self.glide(place);
            if index == 0 {
                self.press(true);
            }
        }
        self.press(false);
        self.finish(milliseconds);
    }

    /// Replaces the text in the field with this name, word by word.
    fn type_into(&mut self, name: &str, text: &str) {
        self.click(name, TICK);
        self.desk.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        self.finish(3 * TICK);
        for word in text.split_inclusive(' ') {
            self.desk.harness.event(Event::Text(word.into()));
            self.finish(TICK);
        }
    }

    fn center(&self, name: &str) -> Pos2 {
        self.desk.harness.get_by_label(name).rect().center()
    }

    /// Moves the pointer.
    fn glide(&mut self, to: Pos2) {
        let from = self.pointer;
        for step in 1..=STEPS {
            self.pointer = from + (to - from) * (f32::from(step) / f32::from(STEPS));
            self.desk.harness.hover_at(self.pointer);
            self.desk.harness.run();
            let shown = self.look();
            self.add(shown, STEP);
        }
    }

    /// Presses the button of the mouse, or lets it go.
    fn press(&mut self, pressed: bool) {
        let (pos, button, modifiers) = (self.pointer, PointerButton::Primary, Modifiers::NONE);
        self.desk.harness.event(Event::PointerButton { pos, button, pressed, modifiers });
        self.desk.harness.run();
    }

    /// Waits until all effects are done. Shows some of the previews until then, and the result for `milliseconds`.
    fn finish(&mut self, milliseconds: u16) {
        self.desk.harness.run();
        let (mut previews, mut last) = (Vec::new(), None);
        while self.desk.state().is_busy() && self.desk.harness.state_mut().state.wait() {
            self.desk.harness.run();
            let now = self.preview();
            if now.is_some() && now != last {
                previews.push(self.look());
                last = now;
            }
        }
        let every = previews.len().div_ceil(MOST_PREVIEWS).max(1);
        previews.into_iter().step_by(every).for_each(|shown| self.add(shown, TICK));
        self.desk.settle();
        let shown = self.look();
        self.add(shown, milliseconds);
    }

    /// The preview of an unfinished revision, or that of the first new picture.
    fn preview(&self) -> Option<Arc<Picture>> {
        let state = self.desk.state();
        let revised = state.document.as_ref().and_then(|document| document.preview.clone());
        revised.or_else(|| state.previews.first().cloned())
    }

    /// The window with the pointer.
    fn look(&mut self) -> RgbImage {
        let shown = self.desk.harness.render().expect("the window can be drawn");
        DynamicImage::from(shown).into_rgb8()
    }

    /// Adds a frame, or shows the last one longer if nothing changes.
    fn add(&mut self, mut pixels: RgbImage, milliseconds: u16) {
        match self.frames.last_mut() {
            Some(last) if is_steady(&last.pixels, &mut pixels) => last.milliseconds += milliseconds,
            _ => self.frames.push(Frame { pixels, milliseconds }),
        }
    }

    fn save(self) {
        let bytes = encode_frames(&self.frames).unwrap();
        std::fs::write(FILE, &bytes).unwrap();
        let milliseconds: u32 = self.frames.iter().map(|frame| u32::from(frame.milliseconds)).sum();
        println!("{} frames, {milliseconds} ms, {} bytes", self.frames.len(), bytes.len());
        assert!((15_000..26_000).contains(&milliseconds), "expected about 20 s");
        assert!(bytes.len() <= 2_000_000, "expected at most 2 MB");
    }
}

/// Takes back the changes of `now` that nobody sees. Returns whether none are left.
fn is_steady(before: &RgbImage, now: &mut RgbImage) -> bool {
    for (before, now) in before.pixels().zip(now.pixels_mut()) {
        if before.0.iter().zip(now.0).all(|(before, now)| before.abs_diff(now) <= INVISIBLE) {
            *now = *before;
        }
    }
    before == now
}
