//! Sampling filters: one set for all depths, or one for each depth.

use eframe::egui::{DragValue, Grid, Response, Ui};

use crate::app::state::{State, published_filters};
use residua_core::sampling::Filter;
use residua_protocol::Loaded;

const TEMPERATURE: &str = "Below 1, likely codes get likelier; 0 always picks the most likely code.";
const TOP_K: &str = "Sample from this many of the most likely codes.";
const GUIDANCE: &str = "Above 1: closer to the class or caption, but less varied; 0: ignores it.";
const TOP_P: &str =
    "Sample from the most likely codes whose probabilities add up to this; 0 and 1: from all codes.";

/// Shows the filters.
pub fn show(ui: &mut Ui, state: &mut State) {
    let same = state.filters.windows(2).all(|pair| pair[0] == pair[1]);
    let mut each = state.generate_view.each_depth || !same;
    if ui.checkbox(&mut each, "Each depth separately").changed() {
        state.generate_view.each_depth = each;
        if let (false, Some(&first)) = (each, state.filters.first()) {
            state.filters.fill(first);
        }
    }
    let guided = state.loaded.as_ref().is_some_and(|loaded| is_guided(loaded));
    Grid::new("filters").num_columns(4 + usize::from(guided)).show(ui, |ui| {
        ui.label("");
        let titles =
            [("Temperature", TEMPERATURE), ("Top-k", TOP_K), ("Top-p", TOP_P), ("Guidance", GUIDANCE)];
        for (title, meaning) in &titles[..3 + usize::from(guided)] {
            ui.weak(*title).on_hover_text(*meaning);
        }
        ui.end_row();
        if each {
            for (depth, filter) in state.filters.iter_mut().enumerate() {
                ui.label(format!("Depth {}", depth + 1));
                row(ui, filter, guided, &format!(" at depth {}", depth + 1));
            }
        } else if let Some(mut filter) = state.filters.first().copied() {
            ui.label("All depths");
            if row(ui, &mut filter, guided, " at all depths") {
                state.filters.fill(filter);
            }
        }
    });
    let published = state.loaded.as_ref().map(|loaded| published_filters(loaded));
    let differs = published.as_ref().is_some_and(|published| *published != state.filters);
    ui.add_enabled_ui(differs, |ui| {
        let button =
            ui.button("Published settings").on_disabled_hover_text("These are the published settings.");
        if let (true, Some(published)) = (button.clicked(), published) {
            state.filters = published;
            state.generate_view.each_depth = false;
        }
    });
}

/// Whether the model supports guidance.
fn is_guided(loaded: &Loaded) -> bool {
    loaded.stage2.as_ref().is_some_and(|stage2| stage2.config.null_token().is_some())
}

/// Shows one set of filters; `place` is appended to the fields' names. Returns whether a value changed.
fn row(ui: &mut Ui, filter: &mut Filter, guided: bool, place: &str) -> bool {
    let named = |response: Response, name: &str, meaning: &str| {
        response.accessible_name(format!("{name}{place}")).on_hover_text(meaning).changed()
    };
    let temperature = DragValue::new(&mut filter.temperature).range(0.0..=10.0).speed(0.01);
    let mut changed = named(ui.add(temperature), "Temperature", TEMPERATURE);
    let top_k = DragValue::new(&mut filter.top_k)
        .custom_formatter(|value, _| if value == 0.0 { "all".into() } else { value.to_string() })
        .custom_parser(|text| if text.trim() == "all" { Some(0.0) } else { text.trim().parse().ok() });
    changed |= named(ui.add(top_k), "Top-k", TOP_K);
    let top_p = DragValue::new(&mut filter.top_p)
        .range(0.0..=1.0)
        .speed(0.005)
        .custom_formatter(|value, decimals| match value as f32 {
            Filter::ONLY_THE_LIKELIEST => "likeliest".into(),
            _ => eframe::egui::emath::format_with_decimals_in_range(value, decimals),
        })
        .custom_parser(|text| match text.trim() {
            "likeliest" => Some(Filter::ONLY_THE_LIKELIEST.into()),
            number => number.parse().ok(),
        });
    changed |= named(ui.add(top_p), "Top-p", TOP_P);
    if guided {
        let guidance = DragValue::new(&mut filter.guidance).range(0.0..=Filter::MOST_GUIDANCE).speed(0.05);
        changed |= named(ui.add(guidance), "Guidance", GUIDANCE);
    }
    ui.end_row();
    changed
}
