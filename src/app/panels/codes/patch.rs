//! A button for a code, with its picture, its number and a note.

use eframe::egui::{
    Align2, Color32, CornerRadius, FontId, Rect, Response, Role, Sense, Stroke, StrokeKind, TextureHandle,
    Ui, Vec2, WidgetInfo, pos2, vec2,
};

/// Side of the picture, in points.
const SIDE: f32 = 44.0;
/// Height of a line of text, in points.
const LINE: f32 = 13.0;

/// A code's button.
pub struct Patch<'a> {
    /// Its accessible name.
    pub name: String,
    /// The code.
    pub code: u32,
    /// A short note below the number.
    pub note: String,
    /// Its picture, if it has arrived, and the part of the texture to show.
    pub look: Option<(&'a TextureHandle, Rect)>,
    /// Whether it is selected.
    pub chosen: bool,
}

impl Patch<'_> {
    /// Shows the button.
    pub fn show(self, ui: &mut Ui) -> Response {
        let size = vec2(SIDE + 8.0, SIDE + 2.0 * LINE + 8.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, self.chosen, &self.name));
        let visuals = ui.style().interact_selectable(&response, self.chosen);
        let painter = ui.painter();
        painter.rect(rect, 3, visuals.weak_bg_fill, visuals.bg_stroke, StrokeKind::Inside);
        let picture = Rect::from_min_size(rect.min + Vec2::splat(4.0), Vec2::splat(SIDE));
        match self.look {
            Some((texture, part)) => {
                painter.image(texture.id(), picture, part, Color32::WHITE);
            }
            None => {
                let stroke = Stroke::new(1.0, visuals.text_color().gamma_multiply(0.4));
                painter.rect_stroke(picture, CornerRadius::ZERO, stroke, StrokeKind::Inside);
            }
        }
        let line = |text: &str, lines: f32, color: Color32| {
            let at = pos2(rect.center().x, picture.bottom() + lines * LINE + 1.0);
            painter.text(at, Align2::CENTER_TOP, text, FontId::proportional(11.0), color);
        };
        line(&self.code.to_string(), 0.0, visuals.text_color());
        line(&self.note, 1.0, visuals.text_color());
        response
    }
}
