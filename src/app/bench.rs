//! Measures how long a frame takes to lay out and tessellate, with a large stack open and no job running.

use std::sync::Arc;
use std::time::Duration;

use eframe::egui::{Context, Pos2, RawInput, Rect, Vec2, ViewportId};
use serde::Serialize;
use web_time::Instant;

use super::document::Document;
use super::{Start, Studio};
use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_core::random::pcg4d;
use residua_io::image_io::Picture;
use residua_protocol::{Condition, Layers, Seen};

/// Rows, columns and depth of the stack.
const SHAPE: [usize; 3] = [16, 16, 8];

/// Codes in its codebook.
const CODES: u32 = 16_384;

/// Side of its picture, in pixels.
const SIDE: usize = 256;

/// Warm-up frames, in which fonts load and panels settle on their sizes.
const FIRST_FRAMES: usize = 10;

/// Frame times.
#[derive(Clone, Debug, Serialize)]
pub struct Frames {
    /// Frames measured.
    pub frames: usize,
    /// Median frame time in milliseconds, with the pointer moving over the codes.
    pub median_ms: f64,
    /// Time of the slowest frame, in milliseconds.
    pub most_ms: f64,
    /// True if the studio keeps redrawing although nothing changes.
    pub draws_at_rest: bool,
}

/// Shows `frames` frames of the whole studio in its default layout.
///
/// # Errors
/// The stack or its pictures cannot be made.
pub fn frames(frames: usize) -> Result<Frames> {
    let ctx = Context::default();
    let engine = residua_engine::studio::start(residua_kernels::device::cpu(), || ());
    let mut studio = Studio::new(&ctx, engine, "cpu", Start::default(), None);
    while studio.state.is_busy() && studio.state.wait() {}
    studio.state.document = Some(document()?);
    let mut times = Vec::with_capacity(frames);
    for frame in 0..FIRST_FRAMES + frames {
        let pointer = Pos2::new(700.0 + (frame % 300) as f32, 200.0 + (frame % 100) as f32);
        let begun = Instant::now();
        show(&ctx, &mut studio, Some(pointer));
        if frame >= FIRST_FRAMES {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    // Let tooltips and fades finish.
    let rest = (0..200).map(|_| show(&ctx, &mut studio, None)).last();
    times.sort_by(f64::total_cmp);
    let most_ms = *times.last().ok_or_else(|| Error::usage("expected at least one frame"))?;
    Ok(Frames { frames, median_ms: times[frames / 2], most_ms, draws_at_rest: rest != Some(Duration::MAX) })
}

/// Shows one frame; returns how long the studio would then wait for the next.
fn show(ctx: &Context, studio: &mut Studio, pointer: Option<Pos2>) -> Duration {
    let mut input = RawInput {
        screen_rect: Some(Rect::from_min_size(Pos2::ZERO, Vec2::new(1280.0, 800.0))),
        ..Default::default()
    };
    input.events.extend(pointer.map(eframe::egui::Event::PointerMoved));
    let output = ctx.run_ui(input, |ui| studio.show(ui));
    ctx.tessellate(output.shapes, output.pixels_per_point);
    output.viewport_output.get(&ViewportId::ROOT).map_or(Duration::MAX, |viewport| viewport.repaint_delay)
}

/// A stack with everything that the panels show about it.
fn document() -> Result<Document> {
    let [h, w, depth] = SHAPE;
    let codes = (0..(h * w * depth) as u32).map(|place| pcg4d([place, 1, 2, 3])[0] % CODES).collect();
    let stack = Arc::new(CodeStack::new(h, w, depth, codes)?);
    let picture = |seed: usize| -> Result<Arc<Picture>> {
        let value = |i: usize| ((i * (seed + 3)) % 255) as f32 / 127.5 - 1.0;
        Ok(Arc::new(Picture::new(SIDE, SIDE, (0..3 * SIDE * SIDE).map(value).collect())?))
    };
    let pictures = |first| (first..first + depth).map(picture).collect::<Result<Vec<_>>>();
    let mut document = Document::new("bench", stack.clone(), Some(picture(0)?), Condition::Unconditional);
    let (add, select) = (pictures(1)?, pictures(1 + depth)?);
    document.seen = Some(Arc::new(Seen {
        stack: stack.clone(),
        limits: document.edit().limits.clone(),
        picture: add[depth - 1].clone(),
        quality: Some((20.0, 0.7)),
        bits_per_pixel: 0.4,
        on_device: None,
    }));
    document.layers = Some(Arc::new(Layers {
        stack,
        add,
        select,
        residual_norms: (0..h * w * depth).map(|i| (i % 97) as f32).collect(),
        of_original: true,
        rate_distortion: (0..depth).map(|d| (d as f64 * 0.05, 15.0 + d as f64)).collect(),
    }));
    document.pinned = Some([3, 5]);
    Ok(document)
}
