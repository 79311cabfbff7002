//! The view "Crop", which chooses the part of the picture to encode, by dragging or by numbers.

use std::sync::Arc;

use eframe::egui::{
    Color32, DragValue, Pos2, Rect, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2,
};

use super::drag::{Drags, Step};
use super::{PictureView, canvas};
use crate::app::action::Action;
use crate::app::document::{Document, Source};
use crate::app::textures;
use residua_io::image_io::Picture;
use residua_io::image_io::framing::{Framing, Square};

/// Longest side of the picture shown here, in pixels.
const LONGEST: usize = 1024;

/// Width of the handle at the square's corner, in points.
const CORNER: f32 = 14.0;

/// A choice of framing that is not applied yet.
pub struct Draft {
    /// The open picture, and the part that is encoded now.
    source: Source,
    /// The whole picture, scaled down for display.
    shown: Arc<Picture>,
    /// The part to encode.
    framing: Framing,
    /// The last chosen square.
    square: Square,
    /// The square and the pointer position at the start of a drag.
    held: (Square, Pos2),
    /// Drags of the square.
    moving: Drags,
    /// Drags of its corner.
    sizing: Drags,
}

impl Draft {
    fn new(source: &Source) -> Self {
        let square = match source.framing {
            Framing::Square(square) => square,
            Framing::Middle | Framing::Squeezed => {
                Square::middle(source.picture.width(), source.picture.height())
            }
        };
        let shown = source.picture.clone().showable(LONGEST);
        Self {
            source: source.clone(),
            shown,
            framing: source.framing,
            square,
            held: (square, Pos2::ZERO),
            moving: Drags::default(),
            sizing: Drags::default(),
        }
    }

    /// Whether this draft belongs to `source`.
    pub fn is_of(&self, source: &Source) -> bool {
        Arc::ptr_eq(&self.source.picture, &source.picture) && self.source.framing == source.framing
    }

    fn size(&self) -> [usize; 2] {
        [self.source.picture.width(), self.source.picture.height()]
    }

    /// Chooses `square`, kept within the picture.
    fn choose(&mut self, square: Square) {
        let [width, height] = self.size();
        self.square = square.within(width, height);
        self.framing = Framing::Square(self.square);
    }

    /// Takes a step of a drag in a picture shown at `scale`. `changed` makes the new square from the one held at first, how far
    /// the pointer has moved since, in pixels, and the picture's size.
    fn drag(&mut self, step: Step, scale: f32, changed: fn(Square, Vec2, [usize; 2]) -> Square) {
        match step {
            Step::Begin(at) => self.held = (seen_square(self).unwrap_or(self.square), at),
            Step::Move(_, to) | Step::End(_, to) => {
                let (held, began) = self.held;
                self.choose(changed(held, (to - began) / scale, self.size()));
            }
            Step::Drop => self.choose(self.held.0),
        }
    }
}

/// Shows the draft, or starts one for the open picture.
pub fn show(ui: &mut Ui, document: &Document, view: &mut PictureView, actions: &mut Vec<Action>) {
    let Some(source) = &document.source else {
        ui.label("There is no picture to crop: these codes were opened without one.");
        return;
    };
    let draft = view.draft.get_or_insert_with(|| Draft::new(source));
    choices(ui, draft);
    ui.horizontal_wrapped(|ui| {
        let encode = eframe::egui::Button::new("Encode this part");
        if ui.add_enabled(draft.framing != draft.source.framing, encode).clicked() {
            actions.push(Action::Reframe(draft.framing));
        }
        let [width, height] = draft.size();
        ui.label(format!("of {width} x {height} pixels; discards all edits"));
    });
    canvas(ui, draft);
}

fn choices(ui: &mut Ui, draft: &mut Draft) {
    ui.horizontal_wrapped(|ui| {
        let own = Framing::Square(draft.square);
        ui.radio_value(&mut draft.framing, Framing::Middle, "Middle square (as published)");
        ui.radio_value(&mut draft.framing, own, "Custom square");
        ui.radio_value(&mut draft.framing, Framing::Squeezed, "Whole picture squeezed to a square");
    });
    let ([width, height], mut square) = (draft.size(), draft.square);
    // Always there, so that the picture below does not change its size while the square is dragged.
    ui.add_enabled_ui(matches!(draft.framing, Framing::Square(_)), |ui| {
        ui.horizontal_wrapped(|ui| {
            for (name, value, most) in [
                ("Left", &mut square.left, width - square.side),
                ("Top", &mut square.top, height - square.side),
                ("Side", &mut square.side, width.min(height)),
            ] {
                let label = ui.label(name);
                let least = usize::from(name == "Side");
                ui.add(DragValue::new(value).range(least..=most).suffix(" px")).labelled_by(label.id);
            }
        });
    });
    if square != draft.square {
        draft.choose(square);
    }
}

/// Shows the whole picture, darkened outside the part to encode.
fn canvas(ui: &mut Ui, draft: &mut Draft) {
    let [width, height] = draft.size().map(|size| size as f32);
    let scale = (ui.available_size() / vec2(width, height)).min_elem().max(0.0);
    let (rect, picture) = ui.allocate_exact_size(vec2(width, height) * scale, Sense::hover());
    picture.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Whole picture"));
    canvas::whole(ui.painter(), textures::of(ui.ctx(), &draft.shown).id(), rect);
    let Some(square) = seen_square(draft) else { return };
    let corner = rect.min + vec2(square.left as f32, square.top as f32) * scale;
    let kept = Rect::from_min_size(corner, Vec2::splat(square.side as f32 * scale));
    darken(ui, rect, kept);
    let body = handle(ui, kept, "Square", &mut draft.moving);
    let grip = Rect::from_min_max(kept.max - Vec2::splat(CORNER), kept.max);
    let corner = handle(ui, grip, "Corner of the square", &mut draft.sizing);
    ui.painter().rect_filled(grip, 0.0, Color32::WHITE);
    ui.painter().rect_stroke(grip, 0.0, Stroke::new(1.0, Color32::BLACK), StrokeKind::Inside);
    body.into_iter().for_each(|step| draft.drag(step, scale, moved));
    corner.into_iter().for_each(|step| draft.drag(step, scale, resized));
}

/// `held`, moved.
fn moved(held: Square, by: Vec2, _: [usize; 2]) -> Square {
    let [left, top] = [(held.left, by.x), (held.top, by.y)]
        .map(|(from, by)| from.saturating_add_signed(by.round() as isize));
    Square { left, top, ..held }
}

/// `held` with its corner moved, within the picture.
fn resized(held: Square, by: Vec2, [width, height]: [usize; 2]) -> Square {
    let side = held.side.saturating_add_signed(by.max_elem().round() as isize);
    let room = (width - held.left).min(height - held.top);
    Square { side: side.clamp(1, room), ..held }
}

/// The square to encode; `None` if the whole picture is squeezed.
fn seen_square(draft: &Draft) -> Option<Square> {
    let [width, height] = draft.size();
    match draft.framing {
        Framing::Middle => Some(Square::middle(width, height)),
        Framing::Square(square) => Some(square),
        Framing::Squeezed => None,
    }
}

/// Adds a drag handle. Returns what `drags` it.
fn handle(ui: &Ui, rect: Rect, name: &str, drags: &mut Drags) -> Vec<Step> {
    let response = ui.interact(rect, ui.scope_id().with(name), Sense::drag());
    response.widget_info(|| WidgetInfo::labeled(Role::GenericContainer, true, name));
    drags.pulls(&response.on_hover_cursor(eframe::egui::CursorIcon::Grab))
}

/// Darkens `all` except `kept`, and draws a frame around `kept`.
fn darken(ui: &Ui, all: Rect, kept: Rect) {
    let dark = Color32::from_black_alpha(150);
    let around = [
        Rect::from_x_y_ranges(all.x_range(), all.top()..=kept.top()),
        Rect::from_x_y_ranges(all.x_range(), kept.bottom()..=all.bottom()),
        Rect::from_x_y_ranges(all.left()..=kept.left(), kept.y_range()),
        Rect::from_x_y_ranges(kept.right()..=all.right(), kept.y_range()),
    ];
    around.iter().for_each(|&rect| {
        ui.painter().rect_filled(rect, 0.0, dark);
    });
    ui.painter().rect_stroke(kept, 0.0, Stroke::new(3.0, Color32::BLACK), StrokeKind::Inside);
    ui.painter().rect_stroke(kept, 0.0, Stroke::new(1.0, Color32::WHITE), StrokeKind::Inside);
}
