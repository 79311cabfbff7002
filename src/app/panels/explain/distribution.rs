//! The transformer's distribution at the pinned position.

use eframe::egui::{Align2, Grid, Role, Ui};
use egui_plot::{Bar, BarChart, HoverPosition, Plot, PlotPoint, PlotUi, Text};

use crate::app::action::Action;
use crate::app::panels::parts::{choice, depths, named, percent};
use crate::app::state::State;
use residua_core::text::grouped;
use residua_protocol::explanation::{Explanation, Suggestion};

/// Height of the chart, in points.
const CHART: f32 = 120.0;

/// The likeliest codes and the chosen one as bars.
pub fn show_chart(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(document) = &state.document else { return };
    let (pinned, depth, count) = (document.pinned, document.depth, document.stack().depth());
    let Some([row, col]) = pinned else {
        ui.label("Click a cell of the picture to see what the transformer would put there.");
        return;
    };
    ui.label(format!("Row {row}, column {col}."));
    ui.horizontal_wrapped(|ui| {
        actions.extend(depths(ui, "Explain depth", count, depth).map(Action::ChooseDepth));
    });
    match explanation(state) {
        Some((_, explanation)) => {
            let codes = state.loaded.as_ref().map_or(1, |loaded| loaded.codebook_sizes[depth]);
            facts(ui, explanation, codes);
            chart(ui, explanation);
        }
        None if state.is_busy() => {
            ui.label("Asking the transformer…");
        }
        None => {
            ui.label("No answer. If something went wrong, the log says what.");
            if ui.button("Ask the transformer").clicked() {
                actions.push(Action::LookAtPinned);
            }
        }
    }
}

/// The likeliest codes with their pictures, and buttons to use them.
pub fn show_suggestions(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some((place, explanation)) = explanation(state) else { return };
    ui.strong("Likeliest codes");
    Grid::new("suggestions").num_columns(4).striped(true).show(ui, |ui| {
        for (rank, suggestion) in listed(explanation) {
            choice(ui, state, suggestion.code, 28.0);
            ui.label(format!("{}. code {}", rank + 1, suggestion.code));
            ui.label(percent(suggestion.probability));
            if suggestion.code == explanation.chosen.code {
                ui.strong("chosen");
            } else {
                let name = format!("Use suggestion {}: code {}", rank + 1, suggestion.code);
                if named(ui.button("Use"), Role::Button, &name).clicked() {
                    actions.push(Action::SetCode(place, suggestion.code));
                }
            }
            ui.end_row();
        }
    });
}

/// The explanation of the current code at the pinned position, if it has arrived.
fn explanation(state: &State) -> Option<([usize; 3], &Explanation)> {
    let document = state.document.as_ref()?;
    let [row, col] = document.pinned?;
    let place = [row, col, document.depth];
    let code = document.stack().at(row, col, document.depth).ok()?;
    let (_, explanation) =
        state.found.explained.as_ref().filter(|(of, found)| *of == place && found.chosen.code == code)?;
    Some((place, explanation.as_ref()))
}

/// The suggestions with their ranks from 0, and the chosen code if it is not among them.
fn listed(explanation: &Explanation) -> Vec<(usize, Suggestion)> {
    let mut listed: Vec<(usize, Suggestion)> = explanation.suggestions.iter().copied().enumerate().collect();
    if explanation.rank >= listed.len() {
        listed.push((explanation.rank, explanation.chosen));
    }
    listed
}

fn facts(ui: &mut Ui, explanation: &Explanation, codes: usize) {
    let Explanation { chosen, rank, entropy, .. } = explanation;
    ui.label(format!(
        "Code {}: probability {}, rank {} of {}.",
        chosen.code,
        percent(chosen.probability),
        grouped(rank + 1),
        grouped(codes),
    ));
    ui.label(format!("Entropy: {entropy:.2} bits of at most {:.2}.", (codes as f64).log2()));
}

fn chart(ui: &mut Ui, explanation: &Explanation) {
    let listed = listed(explanation);
    let most = listed.iter().map(|(_, suggestion)| suggestion.probability).fold(0.0, f32::max);
    let hover = listed.clone();
    let plot = Plot::new("distribution")
        .height(CHART)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_grid([false, false])
        .show_axes([false, false])
        .show_x(false)
        .show_y(false)
        // Room for the text above and below the bars.
        .include_y(1.5 * most)
        .include_y(-0.3 * most)
        .label_formatter(move |position| match position {
            HoverPosition::NearDataPoint { index, .. } => hover.get(*index).map(|(_, suggestion)| {
                format!("code {}: {}", suggestion.code, percent(suggestion.probability))
            }),
            HoverPosition::Elsewhere { .. } => None,
        })
        .show(ui, |plot| bars(plot, &listed, explanation.chosen.code));
    let name = format!("Probabilities of the {} likeliest codes, in per cent", explanation.suggestions.len());
    named(plot.response, Role::Image, &name);
}

/// A bar for each code, with its probability above and its number below. The chosen one is also labelled as such.
fn bars(plot: &mut PlotUi<'_>, listed: &[(usize, Suggestion)], chosen: u32) {
    let visuals = plot.ctx().global_style().visuals.clone();
    let bars = listed.iter().enumerate().map(|(place, (_, suggestion))| {
        let bar = Bar::new(place as f64, suggestion.probability.into()).width(0.7);
        if suggestion.code == chosen {
            bar.fill(visuals.selection.bg_fill).stroke((2.0, visuals.strong_text_color()))
        } else {
            bar.fill(visuals.weak_text_color())
        }
    });
    plot.bar_chart(BarChart::new("codes", bars.collect()));
    for (place, (_, suggestion)) in listed.iter().enumerate() {
        let mut text = |y: f32, words: String, anchor| {
            let at = PlotPoint::new(place as f64, y);
            plot.text(Text::new("", at, words).anchor(anchor).color(visuals.strong_text_color()));
        };
        let share = format!("{:.1}", 100.0 * suggestion.probability);
        let above = if suggestion.code == chosen { format!("chosen\n{share}") } else { share };
        text(suggestion.probability, above, Align2::CENTER_BOTTOM);
        text(0.0, suggestion.code.to_string(), Align2::CENTER_TOP);
    }
}
