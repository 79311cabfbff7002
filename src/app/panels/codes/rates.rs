//! Rate and distortion by depth: bits per pixel against PSNR.

use eframe::egui::{Grid, Role, Ui, WidgetInfo};
use egui_plot::{Line, Plot, PlotPoints, Points};

use crate::app::action::Action;
use crate::app::document::Document;
use residua_protocol::Layers;

/// Height of the curve, in points.
const HEIGHT: f32 = 120.0;

/// Shows the curve and a table of its points; a click on a depth chooses it.
pub fn show(ui: &mut Ui, document: &Document, actions: &mut Vec<Action>) {
    let (Some(layers), depth) = (&document.layers, document.depth) else {
        ui.weak("decoding…");
        return;
    };
    curve(ui, layers, depth);
    actions.extend(numbers(ui, layers, depth).map(Action::ChooseDepth));
}

/// Shows the curve's points as a table. Returns the clicked depth.
fn numbers(ui: &mut Ui, layers: &Layers, depth: usize) -> Option<usize> {
    let mut chosen = None;
    Grid::new("rates").spacing([8.0, 0.0]).show(ui, |ui| {
        ["depth", "bits/pixel", "PSNR, dB"].into_iter().for_each(|head| {
            ui.weak(head);
        });
        ui.end_row();
        for (d, (rate, psnr)) in layers.rate_distortion.iter().enumerate() {
            let response = ui.selectable_label(d == depth, (d + 1).to_string());
            let name = format!("rate at depth {}", d + 1);
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, d == depth, &name));
            if response.clicked() {
                chosen = Some(d);
            }
            ui.label(format!("{rate:.3}"));
            ui.label(if psnr.is_finite() { format!("{psnr:.2}") } else { "the same".into() });
            ui.end_row();
        }
    });
    let against = if layers.of_original { "the original" } else { "the picture of all codes" };
    ui.weak(format!("PSNR against {against}."));
    chosen
}

fn curve(ui: &mut Ui, layers: &Layers, depth: usize) {
    // The PSNR of a picture against itself is infinite.
    let finite = layers.rate_distortion.iter().filter(|(_, psnr)| psnr.is_finite());
    let points: Vec<[f64; 2]> = finite.map(|&(rate, psnr)| [rate, psnr]).collect();
    let here: Vec<[f64; 2]> = points.get(depth).copied().into_iter().collect();
    let (line, mark) = (ui.visuals().text_color(), ui.visuals().selection.stroke.color);
    Plot::new("rate against distortion")
        .height(HEIGHT)
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
