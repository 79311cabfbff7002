//! Small widgets shared by several panels.

use eframe::egui::{
    Button, Image, Rect, Response, RichText, Role, ScrollArea, Sense, Ui, Vec2, WidgetInfo, pos2,
};

use crate::app::colors;
use crate::app::state::State;
use crate::app::textures;
use residua_protocol::Choice;

/// Side of an enlarged picture, in points.
const LARGE: f32 = 132.0;

/// Texture coordinates of a whole texture.
pub const WHOLE: Rect = Rect { min: pos2(0.0, 0.0), max: pos2(1.0, 1.0) };

/// A column that scrolls independently.
pub fn column(ui: &mut Ui, id: &str, add: impl FnOnce(&mut Ui)) {
    // Columns stretch their contents and even text; a vertical layout inside prevents that.
    ScrollArea::vertical().id_salt(id).auto_shrink(false).show(ui, |ui| ui.vertical(add));
}

/// Sets a widget's accessible name, whatever its text.
pub fn named(response: Response, role: Role, name: &str) -> Response {
    response.widget_info(|| WidgetInfo::labeled(role, response.enabled(), name));
    response
}

/// A button for the main action of a panel.
pub fn main_button(ui: &Ui, name: &str) -> Button<'static> {
    let accent = ui.visuals().selection;
    Button::new(RichText::new(name).color(accent.stroke.color)).fill(accent.bg_fill)
}

/// Buttons for `count` depths, numbered from 1; their accessible names are `name` and the number. Returns the clicked
/// depth, from 0, unless it is `now`.
pub fn depths(ui: &mut Ui, name: &str, count: usize, now: usize) -> Option<usize> {
    ui.label("Depth");
    let mut chosen = None;
    for depth in 0..count {
        let response = ui.selectable_label(depth == now, (depth + 1).to_string());
        response.widget_info(|| {
            WidgetInfo::selected(
                Role::RadioButton,
                response.enabled(),
                depth == now,
                format!("{name} {}", depth + 1),
            )
        });
        if response.clicked() && depth != now {
            chosen = Some(depth);
        }
    }
    chosen
}

/// A code's picture, `side` points wide and high; a blank square until it is known.
pub fn patch(ui: &mut Ui, state: &State, depth: usize, code: u32, side: f32) {
    let size = Vec2::splat(side);
    match state.patch(depth, code) {
        Some(picture) => {
            let texture = textures::of(ui.ctx(), picture);
            ui.add(Image::new((texture.id(), size)).alt_text(format!("code {code} at depth {}", depth + 1)));
        }
        None => nothing_yet(ui, size),
    }
}

fn nothing_yet(ui: &mut Ui, size: Vec2) {
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().rect_filled(rect, 2.0, ui.visuals().faint_bg_color);
}

/// The picture around the pinned cell with `code` in it, `side` points wide and high; a blank square until it is known.
pub fn choice(ui: &mut Ui, state: &State, code: u32, side: f32) {
    let size = Vec2::splat(side);
    match state.found.choices.get(code) {
        Some(choice) => {
            let texture = textures::of(ui.ctx(), &choice.picture);
            ui.add(Image::new((texture.id(), size)).alt_text(format!("the picture with code {code}")))
                .on_hover_ui(|ui| change(ui, choice));
        }
        None => nothing_yet(ui, size),
    }
}

/// The picture around the cell with a choice applied, enlarged, and the change that it makes.
pub fn change(ui: &mut Ui, choice: &Choice) {
    ui.horizontal(|ui| {
        for (picture, name) in [(&choice.picture, "with this code"), (&choice.change, "the change")] {
            let texture = textures::of(ui.ctx(), picture);
            ui.add(Image::new((texture.id(), Vec2::splat(LARGE))).alt_text(name));
        }
    });
    let Choice { amplified, effect, .. } = choice;
    ui.label(format!(
        "The picture around the cell with this code, and the change, amplified {amplified} times"
    ));
    ui.weak(format!("Over the whole picture, pixels change by {effect:.1} of 255 (RMS)."));
}

/// The colours of the map, from the least value on the left to the greatest on the right.
pub fn gradient(ui: &mut Ui, size: Vec2) {
    const STEPS: usize = 64;
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    for i in 0..STEPS {
        // Each step reaches to the right end, so that no seam shows between two of them.
        let left = rect.left() + rect.width() * i as f32 / STEPS as f32;
        ui.painter().rect_filled(rect.with_min_x(left), 0.0, colors::map(i as f32 / (STEPS - 1) as f32));
    }
}

/// The scale of a map from zero to `most`: what is measured on the left, its unit on the right.
pub fn scale(ui: &mut Ui, what: &str, most: f32, unit: &str) {
    ui.horizontal_wrapped(|ui| {
        ui.label(format!("{what}: 0"));
        gradient(ui, Vec2::new(80.0, 12.0));
        ui.label(format!("{most:.1}{unit}"));
    });
}

/// A fraction as a percentage, with three significant digits.
pub fn percent(part: f32) -> String {
    let percent = 100.0 * part;
    match percent {
        10.0.. => format!("{percent:.1} %"),
        1.0..10.0 => format!("{percent:.2} %"),
        0.001..1.0 => format!("{percent:.3} %"),
        _ => format!("{percent:.1e} %"),
    }
}
