//! What each depth costs and gains: bits per pixel against PSNR.

use eframe::egui::{ScrollArea, Ui};
use egui_plot::{Line, Plot, PlotPoints, Points};

use crate::app::state::State;
use crate::engine::studio::Layers;

/// Shows the curve, and its points in words; a click on one chooses the depth.
pub fn show(ui: &mut Ui, state: &mut State, layers: &Layers) {
    let Some(document) = &state.document else { return };
    let (depth, mut chosen) = (document.depth, None);
    ui.horizontal_top(|ui| {
        let words = (ui.available_width() * 0.45).min(220.0);
        let size = ui.available_size();
        ui.vertical(|ui| {
            ui.set_width((size.x - words).max(80.0));
            curve(ui, layers, depth, size.y);
        });
        ScrollArea::vertical().id_salt("rates").show(ui, |ui| {
            ui.vertical(|ui| {
                for (d, (rate, psnr)) in layers.rate_distortion.iter().enumerate() {
                    let quality =
                        if psnr.is_finite() { format!("{psnr:.2} dB") } else { "the same picture".into() };
                    let text = format!("{}: {rate:.3} bits/pixel, {quality}", d + 1);
                    if ui.selectable_label(d == depth, text).clicked() {
                        chosen = Some(d);
                    }
                }
                let against = if layers.of_original { "the original" } else { "the picture of all codes" };
                ui.weak(format!("PSNR against {against}."));
            });
        });
    });
    if let Some(depth) = chosen {
        state.choose_depth(depth);
    }
}

fn curve(ui: &mut Ui, layers: &Layers, depth: usize, height: f32) {
    // A picture is no finite distance from itself.
    let finite = layers.rate_distortion.iter().filter(|(_, psnr)| psnr.is_finite());
    let points: Vec<[f64; 2]> = finite.map(|&(rate, psnr)| [rate, psnr]).collect();
    let here: Vec<[f64; 2]> = points.get(depth).copied().into_iter().collect();
    let (line, mark) = (ui.visuals().text_color(), ui.visuals().selection.stroke.color);
    Plot::new("rate against distortion")
        .height(height.max(60.0))
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .include_x(0.0)
        .x_axis_label("bits/pixel")
        .y_axis_label("PSNR, dB")
        .show(ui, |plot| {
            plot.line(Line::new("PSNR", PlotPoints::from(points.clone())).color(line));
            plot.points(Points::new("depths", PlotPoints::from(points)).radius(3.0).color(line));
            plot.points(Points::new("chosen depth", PlotPoints::from(here)).radius(5.0).color(mark));
        });
}
