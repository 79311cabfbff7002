//! Buttons with icons. An icon is drawn as lines, so that it has the colour and sharpness of the text beside it.

use eframe::egui::{
    Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, TextStyle, TextWrapMode, Ui, Vec2, Widget,
    WidgetInfo, WidgetText, pos2, vec2,
};

/// Side of an icon, in points, and in units of its lines.
const SIDE: f32 = 14.0;
const GRID: f32 = 16.0;
/// Space between an icon and its word, in points.
const GAP: f32 = 4.0;
/// Width of a line, in points.
const LINE: f32 = 1.3;

/// What an icon stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A folder.
    Open,
    /// An arrow into a tray.
    Save,
    /// An arrow back.
    Undo,
    /// An arrow forth.
    Redo,
    /// A pointer.
    Pin,
    /// A brush with a spark.
    Revise,
    /// A stroke.
    Brush,
    /// A dashed rectangle.
    Rectangle,
}

/// Lines through points, from the top left.
type Lines = &'static [&'static [[f32; 2]]];

impl Icon {
    fn lines(self) -> Lines {
        match self {
            Self::Open => {
                &[&[[2.0, 13.0], [2.0, 3.5], [6.0, 3.5], [7.5, 5.5], [14.0, 5.5], [14.0, 13.0], [2.0, 13.0]]]
            }
            Self::Save => &[
                &[[8.0, 2.0], [8.0, 10.0]],
                &[[4.5, 6.5], [8.0, 10.0], [11.5, 6.5]],
                &[[2.5, 10.5], [2.5, 13.5], [13.5, 13.5], [13.5, 10.5]],
            ],
            Self::Undo => &[
                &[[5.5, 2.5], [2.5, 5.5], [5.5, 8.5]],
                &[[2.5, 5.5], [10.0, 5.5], [12.6, 6.6], [13.5, 9.0], [12.6, 11.4], [10.0, 12.5], [6.0, 12.5]],
            ],
            Self::Redo => &[
                &[[10.5, 2.5], [13.5, 5.5], [10.5, 8.5]],
                &[[13.5, 5.5], [6.0, 5.5], [3.4, 6.6], [2.5, 9.0], [3.4, 11.4], [6.0, 12.5], [10.0, 12.5]],
            ],
            Self::Pin => &[&[
                [4.0, 2.0],
                [4.0, 12.5],
                [6.8, 10.0],
                [8.6, 14.0],
                [10.4, 13.2],
                [8.6, 9.4],
                [12.2, 9.2],
                [4.0, 2.0],
            ]],
            Self::Revise => &[
                &[[13.5, 2.5], [7.5, 8.5]],
                &[[7.5, 8.5], [5.0, 9.0], [4.2, 11.0], [2.0, 13.5], [5.5, 13.5], [7.6, 12.0], [7.5, 8.5]],
                &[[12.0, 9.5], [12.0, 13.5]],
                &[[10.0, 11.5], [14.0, 11.5]],
            ],
            Self::Brush => &[&[[2.5, 11.0], [4.5, 5.0], [7.5, 11.0], [10.5, 5.0], [13.5, 9.0]]],
            Self::Rectangle => &[
                &[[2.5, 5.5], [2.5, 3.0], [5.0, 3.0]],
                &[[7.0, 3.0], [9.0, 3.0]],
                &[[11.0, 3.0], [13.5, 3.0], [13.5, 5.5]],
                &[[13.5, 7.0], [13.5, 9.0]],
                &[[13.5, 10.5], [13.5, 13.0], [11.0, 13.0]],
                &[[9.0, 13.0], [7.0, 13.0]],
                &[[5.0, 13.0], [2.5, 13.0], [2.5, 10.5]],
                &[[2.5, 9.0], [2.5, 7.0]],
            ],
        }
    }

    fn draw(self, ui: &Ui, rect: Rect, stroke: Stroke) {
        let at = |&[x, y]: &[f32; 2]| -> Pos2 { rect.min + vec2(x, y) * (rect.width() / GRID) };
        for line in self.lines() {
            ui.painter().line(line.iter().map(at).collect(), stroke);
        }
    }
}

/// A button with an icon.
pub struct IconButton<'a> {
    /// The icon.
    pub icon: Icon,
    /// Its accessible name.
    pub name: &'a str,
    /// Whether the name is beside the icon, rather than in a tooltip.
    pub has_word: bool,
    /// Whether it is chosen, if it is one of several to choose from.
    pub chosen: Option<bool>,
}

impl Widget for IconButton<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let Self { icon, name, has_word, chosen } = self;
        let word = has_word.then(|| {
            let wrap = Some(TextWrapMode::Extend);
            WidgetText::from(name).into_galley(ui, wrap, f32::INFINITY, TextStyle::Button)
        });
        let (padding, height) = (ui.spacing().button_padding.x, ui.spacing().interact_size.y);
        let width = 2.0 * padding + SIDE + word.as_ref().map_or(0.0, |word| GAP + word.size().x);
        let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
        response.widget_info(|| match chosen {
            Some(chosen) => WidgetInfo::selected(Role::Button, ui.is_enabled(), chosen, name),
            None => WidgetInfo::labeled(Role::Button, ui.is_enabled(), name),
        });
        let is_chosen = chosen == Some(true);
        let visuals = ui.style().interact_selectable(&response, is_chosen);
        // As with egui's buttons, one to choose from has a frame only if it is chosen or under the pointer.
        if chosen.is_none() || is_chosen || response.hovered() || response.has_focus() {
            let (fill, stroke) = (visuals.weak_bg_fill, visuals.bg_stroke);
            ui.painter().rect(rect, visuals.corner_radius, fill, stroke, StrokeKind::Inside);
        }
        let place = pos2(rect.left() + padding, rect.center().y - SIDE / 2.0);
        let place = Rect::from_min_size(place, Vec2::splat(SIDE));
        icon.draw(ui, place, Stroke::new(LINE, visuals.text_color()));
        match word {
            Some(word) => {
                let at = pos2(place.right() + GAP, rect.center().y - word.size().y / 2.0);
                ui.painter().galley(at, word, visuals.text_color());
                response
            }
            None => response.on_hover_text(name),
        }
    }
}
