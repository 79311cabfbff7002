//! The canvas: zooms, pans and paints the picture.

use std::sync::Arc;

use eframe::egui::emath::GuiRounding;
use eframe::egui::scroll_area::{DragScroll, ScrollSource};
use eframe::egui::{
    Color32, Context, Painter, Pos2, Rect, Response, Role, ScrollArea, Sense, Stroke, TextureId, Ui, Vec2,
    WidgetInfo, pos2,
};

#[cfg(not(target_family = "wasm"))]
use super::device;
use super::drag::Step;
use super::{PictureView, cells};
use crate::app::action::Action;
use crate::app::document::Document;
use crate::app::state::State;
use crate::app::textures;
use crate::app::tool::Tool;
use residua_io::image_io::Picture;
use residua_io::image_io::present::Shown;
use residua_protocol::SeenOnDevice;

/// Limits of the zoom, in screen pixels per picture pixel.
const SMALLEST: f32 = 0.25;
const LARGEST: f32 = 64.0;

/// Scroll distance, in points, that zooms by a factor of e.
const POINTS_PER_E: f32 = 250.0;

/// A picture and its original, of the same size.
pub struct Pair {
    /// The decoded picture.
    pub picture: Arc<Picture>,
    /// The original, if there is one.
    pub original: Option<Arc<Picture>>,
    /// Both in the models' device memory, if the window can draw from it; never in a browser page.
    #[cfg_attr(target_family = "wasm", expect(dead_code))]
    pub on_device: Option<SeenOnDevice>,
}

impl Pair {
    /// The reference for differences: the original, or the picture itself without one.
    pub fn reference(&self) -> &Arc<Picture> {
        self.original.as_ref().unwrap_or(&self.picture)
    }
}

/// Shows a pair at the current zoom, with its cells on top. Centres it if it is smaller than the panel. The wheel or a pinch
/// zooms, a drag pans.
pub fn show(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    view: &mut PictureView,
    actions: &mut Vec<Action>,
    pair: &Pair,
) {
    let room = ui.available_size();
    let (shown, name) = view.shown();
    // By the mouse, too: tools that need the drag take it first.
    let sources = ScrollSource { drag: DragScroll::Always, ..ScrollSource::default() };
    ScrollArea::both().auto_shrink(false).scroll_source(sources).show(ui, |ui| {
        let pixels = Vec2::new(pair.picture.width() as f32, pair.picture.height() as f32);
        let size = match view.zoom {
            0.0 => pixels * (room / pixels).min_elem().max(0.0),
            zoom => pixels * zoom / ui.pixels_per_point(),
        };
        let (area, _) = ui.allocate_exact_size(size.max(room), Sense::hover());
        // On whole pixels, both ways to paint it give the same picture.
        let rect = Rect::from_center_size(area.center(), size).round_to_pixels(ui.pixels_per_point());
        let picture = ui.interact(rect, ui.scope_id().with("picture"), Sense::hover());
        picture.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
        zoom(ui, &mut view.zoom, &picture, size.x * ui.pixels_per_point() / pixels.x);
        match shown {
            Shown::Errors { .. } => {
                paint(ui, ui.painter(), view, pair, Shown::Picture, rect);
                paint(ui, &covered(ui, view.cover, rect), view, pair, shown, rect);
            }
            _ => paint(ui, ui.painter(), view, pair, shown, rect),
        }
        if let Shown::Wipe { .. } = shown {
            wipe(ui, state.tool, view, rect);
        } else if view.is_map() && view.cover < 1.0 {
            line(ui, view.cover, rect);
        }
        cells::show(ui, state, document, view, actions, rect);
    });
}

/// Draws the line of the wipe, and moves it unless a tool uses the drag.
fn wipe(ui: &Ui, tool: Tool, view: &mut PictureView, rect: Rect) {
    if tool == Tool::Pin {
        let area = ui.interact(rect, ui.scope_id().with("wipe"), Sense::DRAG);
        let place = |to: Pos2| ((to.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        for step in view.wiping.pulls(&area) {
            match step {
                Step::Begin(to) => (view.wiped, view.wipe) = (view.wipe, place(to)),
                Step::Move(_, to) | Step::End(_, to) => view.wipe = place(to),
                Step::Drop => view.wipe = view.wiped,
            }
        }
    }
    line(ui, view.wipe, rect);
}

/// Draws a line at a part of the width of `rect`.
fn line(ui: &Ui, place: f32, rect: Rect) {
    let x = rect.left() + place * rect.width();
    ui.painter().vline(x, rect.y_range(), Stroke::new(3.0, Color32::BLACK));
    ui.painter().vline(x, rect.y_range(), Stroke::new(1.0, Color32::WHITE));
}

/// Zooms a picture shown at `scale` by the wheel or a pinch. Keeps the point under the pointer or fingers in
/// place.
fn zoom(ui: &Ui, zoom: &mut f32, picture: &Response, scale: f32) {
    if !picture.contains_pointer() || scale <= 0.0 {
        return;
    }
    let (by, touch, hover) = ui.input_mut(|input| {
        // Takes the wheel from the panel, which would scroll; Shift still scrolls sideways.
        let wheel = std::mem::take(&mut input.smooth_scroll_delta.y);
        let by = input.zoom_delta() * (wheel / POINTS_PER_E).exp();
        (by, input.multi_touch(), input.pointer.hover_pos())
    });
    let center = touch.map(|touch| touch.center_pos).or(hover);
    if let Some(center) = center.filter(|_| by != 1.0) {
        *zoom = (scale * by).clamp(SMALLEST, LARGEST);
        ui.scroll_with_delta((picture.rect.min - center) * (*zoom / scale - 1.0));
    }
}

/// A painter for the part of `rect` that a map covers.
pub fn covered(ui: &Ui, cover: f32, rect: Rect) -> Painter {
    let part = rect.with_max_x(rect.left() + cover * rect.width());
    ui.painter().with_clip_rect(part.intersect(ui.clip_rect()))
}

/// Paints a pair within `rect`.
fn paint(ui: &Ui, painter: &Painter, view: &mut PictureView, pair: &Pair, shown: Shown, rect: Rect) {
    // In a browser page, the models run in a worker with its own device.
    #[cfg(not(target_family = "wasm"))]
    if let Some(seen) = &pair.on_device
        && let Some(drawing) = device::drawing(seen, shown, rect, ui.pixels_per_point())
    {
        painter.add(drawing);
        return;
    }
    paint_textures(ui.ctx(), painter, view, pair, shown, rect);
}

fn paint_textures(
    ctx: &Context,
    painter: &Painter,
    view: &mut PictureView,
    pair: &Pair,
    shown: Shown,
    rect: Rect,
) {
    match shown {
        Shown::Original => whole(painter, textures::of(ctx, pair.reference()).id(), rect),
        Shown::Picture => whole(painter, textures::of(ctx, &pair.picture).id(), rect),
        Shown::Errors { brightest } => {
            whole(painter, view.errors_of(ctx, pair, brightest), rect);
        }
        Shown::Wipe { place } => {
            let (original, picture) = (textures::of(ctx, pair.reference()), textures::of(ctx, &pair.picture));
            part(painter, original.id(), rect, 0.0..=place);
            part(painter, picture.id(), rect, place..=1.0);
        }
    }
}

/// Paints a whole texture.
pub fn whole(painter: &Painter, texture: TextureId, rect: Rect) {
    part(painter, texture, rect, 0.0..=1.0);
}

/// Paints part of a texture that fills `rect`: the columns `along`, from 0 at the left to 1 at the right.
fn part(painter: &Painter, texture: TextureId, rect: Rect, along: std::ops::RangeInclusive<f32>) {
    let (from, to) = along.into_inner();
    let x = |place: f32| rect.left() + place * rect.width();
    let area = Rect::from_x_y_ranges(x(from)..=x(to), rect.y_range());
    let uv = Rect::from_min_max(pos2(from, 0.0), pos2(to, 1.0));
    painter.image(texture, area, uv, Color32::WHITE);
}
