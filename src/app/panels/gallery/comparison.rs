//! A window with two pictures side by side, and overlaid with a wipe.

use eframe::egui::{
    Align2, Context, Image, Rect, Sense, Slider, TextureHandle, Ui, Vec2, Window, pos2, vec2,
};

use crate::app::action::Action;
use crate::app::gallery::Comparison;
use crate::app::state::State;
use crate::app::textures;

/// Side of a picture, in points.
const SIDE: f32 = 200.0;

/// Shows the comparison, if there is one.
pub fn show(ctx: &Context, state: &State, wipe: &mut f32, actions: &mut Vec<Action>) {
    let Some(comparison) = &state.gallery.comparison else { return };
    let textures = comparison.pictures.each_ref().map(|picture| textures::of(ctx, picture));
    Window::new("Comparison")
        .pivot(Align2::CENTER_CENTER)
        .default_pos(ctx.content_rect().center())
        .resizable(false)
        .collapsible(false)
        .show(ctx, |ui| {
            contents(ui, comparison, &textures, wipe);
            if ui.button("Close the comparison").clicked() {
                actions.push(Action::CloseComparison);
            }
        });
}

fn contents(ui: &mut Ui, comparison: &Comparison, textures: &[TextureHandle; 2], wipe: &mut f32) {
    ui.label(comparison.summary());
    let sizes = textures.each_ref().map(|texture| {
        let size = texture.size_vec2();
        size * (SIDE / size.max_elem())
    });
    ui.horizontal_top(|ui| {
        for (name, (texture, size)) in comparison.names.iter().zip(textures.iter().zip(sizes)) {
            ui.vertical(|ui| {
                ui.label(name);
                let alt = format!("{name}, compared");
                ui.add(Image::new(texture).fit_to_exact_size(size).alt_text(alt));
            });
        }
        if sizes[0] == sizes[1] {
            ui.vertical(|ui| {
                ui.label("One over the other");
                wiped(ui, textures, sizes[0], *wipe);
                ui.add(Slider::new(wipe, 0.0..=1.0).text("Wipe"));
            });
        }
    });
}

/// Shows the first picture left of the wipe and the second right of it.
fn wiped(ui: &mut Ui, textures: &[TextureHandle; 2], size: Vec2, wipe: f32) {
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    for (texture, from, to) in [(&textures[0], 0.0, wipe), (&textures[1], wipe, 1.0)] {
        let part = Rect::from_min_max(pos2(from, 0.0), pos2(to, 1.0));
        let place =
            Rect::from_min_size(rect.min + vec2(from * size.x, 0.0), vec2((to - from) * size.x, size.y));
        Image::new(texture).uv(part).paint_at(ui, place);
    }
}
