//! Where in the stack the transformer was unsure: an entropy map for each depth.

use eframe::egui::{
    Align, Color32, Layout, Mesh, Pos2, Rect, Response, Role, Sense, Shape, Stroke, StrokeKind, Ui, Vec2,
};

use crate::app::action::Action;
use crate::app::colors;
use crate::app::panels::parts::{named, percent, scale};
use crate::app::state::State;
use residua_core::text::grouped;
use residua_metrics::bits_per_pixel;
use residua_protocol::{Loaded, Surprise};

/// Allowed sides of a map, in points.
const SIDES: std::ops::RangeInclusive<f32> = 88.0..=200.0;

/// Maps per row, unless that makes them too small.
const IN_A_ROW: usize = 4;

/// Shows the maps, or how to get them.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if ui.button("Where was the model unsure?").clicked() {
        actions.push(Action::AskSurprise);
    }
    let (Some(loaded), Some(document)) = (&state.loaded, &state.document) else { return };
    let Some(surprise) = &document.surprise else {
        ui.label("Computes the transformer's entropy at each position in the stack.");
        return;
    };
    if surprise.stack != *document.stack() {
        ui.label("The codes have changed since: ask again.");
        return;
    }
    ui.label(cost(surprise, loaded));
    let most = loaded.codebook_sizes.iter().max().map_or(0.0, |&size| (size as f32).log2());
    scale(ui, "Entropy", most, " bits");
    let pinned = document.pinned.map(|cell| (cell, document.depth));
    let mut clicked = None;
    let depths = surprise.stack.depth();
    let space = ui.available_width() / depths.min(IN_A_ROW) as f32 - ui.spacing().item_spacing.x;
    let size =
        Vec2::new(0.0, ui.spacing().interact_size.y) + Vec2::splat(space.clamp(*SIDES.start(), *SIDES.end()));
    ui.horizontal_wrapped(|ui| {
        for depth in 0..depths {
            let mark = pinned.filter(|(_, of)| *of == depth).map(|(cell, _)| cell);
            let upright = Layout::top_down(Align::Min);
            let map = |ui: &mut Ui| map(ui, surprise, depth, most, mark);
            if let Some(cell) = ui.allocate_ui_with_layout(size, upright, map).inner {
                clicked = Some((cell, depth));
            }
        }
    });
    if let Some((cell, depth)) = clicked {
        actions.extend([Action::ChooseDepth(depth), Action::Pin(cell)]);
    }
}

/// How many bits the stack takes under the model, compared with equally likely codes.
fn cost(surprise: &Surprise, loaded: &Loaded) -> String {
    let [h, w, _] = surprise.stack.shape();
    let pixels = loaded.rqvae.ddconfig.resolution.pow(2);
    let bits = surprise.bits().sum::<f64>();
    let uniform = bits_per_pixel(h, w, &loaded.codebook_sizes, pixels);
    format!(
        "Under the model, this stack takes {} bits, {:.3} bits per pixel; with equally likely codes it takes {} bits, {:.3} bits per pixel.",
        grouped(bits.round() as usize),
        bits / pixels as f64,
        grouped((uniform * pixels as f64).round() as usize),
        uniform,
    )
}

/// Shows the entropies at one depth. Returns the clicked cell, if any.
fn map(
    ui: &mut Ui,
    surprise: &Surprise,
    depth: usize,
    most: f32,
    mark: Option<[usize; 2]>,
) -> Option<[usize; 2]> {
    let [h, w, depths] = surprise.stack.shape();
    let of_depth = surprise.entropy.iter().skip(depth).step_by(depths);
    let mean = of_depth.clone().sum::<f32>() / (h * w) as f32;
    ui.small(format!("Depth {}: {mean:.2} bits", depth + 1));
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(ui.available_width()), Sense::click());
    let cell = Vec2::new(rect.width() / w as f32, rect.height() / h as f32);
    let of_cell = |row: usize, col: usize| {
        Rect::from_min_size(rect.min + Vec2::new(col as f32 * cell.x, row as f32 * cell.y), cell)
    };
    let mut mesh = Mesh::default();
    for (place, entropy) in of_depth.enumerate() {
        mesh.add_colored_rect(of_cell(place / w, place % w), colors::map(entropy / most));
    }
    ui.painter().add(Shape::mesh(mesh));
    if let Some([row, col]) = mark {
        let rect = of_cell(row, col);
        ui.painter().rect_stroke(rect, 0.0, Stroke::new(3.0, Color32::BLACK), StrokeKind::Outside);
        ui.painter().rect_stroke(rect, 0.0, Stroke::new(1.5, Color32::WHITE), StrokeKind::Outside);
    }
    let response = named(
        response,
        Role::Image,
        &format!("Map of entropy at depth {}, {mean:.2} bits on average", depth + 1),
    );
    let under = |at: Option<Pos2>| {
        let at = (at? - rect.min) / cell;
        let [row, col] = [at.y.max(0.0) as usize, at.x.max(0.0) as usize];
        (row < h && col < w).then_some([row, col])
    };
    let clicked = response.clicked().then(|| under(response.interact_pointer_pos())).flatten();
    hover(response, surprise, depth, under);
    clicked
}

/// Describes the cell under the pointer.
fn hover(
    response: Response,
    surprise: &Surprise,
    depth: usize,
    under: impl Fn(Option<Pos2>) -> Option<[usize; 2]>,
) {
    let Some([row, col]) = under(response.hover_pos()) else { return };
    let [_, w, depths] = surprise.stack.shape();
    let place = (row * w + col) * depths + depth;
    let chosen = surprise.chosen[place];
    response.on_hover_text_at_pointer(format!(
        "row {row}, column {col}, depth {}\nentropy {:.2} bits\ncode {} with {}, {:.2} bits",
        depth + 1,
        surprise.entropy[place],
        chosen.code,
        percent(chosen.probability),
        -chosen.probability.max(f32::MIN_POSITIVE).log2(),
    ));
}
