//! Sampling filters: one set for all depths, or one for each depth.

use eframe::egui::{DragValue, Grid, ScrollArea, Ui};

use crate::app::state::{State, published_filters};
use residua_core::sampling::Filter;
use residua_protocol::Loaded;

/// One value of a filter.
struct Field {
    name: &'static str,
    meaning: &'static str,
    widget: for<'a> fn(&'a mut Filter) -> DragValue<'a>,
}

/// The values in order; the last one only for models that support guidance.
const FIELDS: [Field; 4] = [
    Field {
        name: "Temperature",
        meaning: "Below 1, likely codes get likelier; 0 always picks the most likely code.",
        widget: |filter| DragValue::new(&mut filter.temperature).range(0.0..=10.0).speed(0.01),
    },
    Field { name: "Top-k", meaning: "Sample from this many of the most likely codes.", widget: top_k },
    Field {
        name: "Top-p",
        meaning: "Sample from the most likely codes whose probabilities add up to this; 0 and 1: from all codes.",
        widget: top_p,
    },
    Field {
        name: "Guidance",
        meaning: "Above 1: closer to the class or caption, but less varied; 0: ignores it.",
        widget: |filter| DragValue::new(&mut filter.guidance).range(0.0..=Filter::MOST_GUIDANCE).speed(0.05),
    },
];

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
    let fields = &FIELDS[..3 + usize::from(guided)];
    if each {
        let places: Vec<String> =
            (1..=state.filters.len()).map(|depth| format!(" at depth {depth}")).collect();
        table(ui, fields, &mut state.filters, &places);
    } else if let Some(mut filter) = state.filters.first().copied()
        && table(ui, fields, std::slice::from_mut(&mut filter), &[" at all depths".into()])
    {
        state.filters.fill(filter);
    }
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

/// Shows a row for each field and a column for each filter, whose `places` are appended to the fields' names. Returns
/// whether a value changed.
fn table(ui: &mut Ui, fields: &[Field], filters: &mut [Filter], places: &[String]) -> bool {
    let mut changed = false;
    // Models may have many depths.
    ScrollArea::horizontal().id_salt("filters").show(ui, |ui| {
        Grid::new("filters").num_columns(1 + filters.len()).show(ui, |ui| {
            if filters.len() > 1 {
                ui.weak("Depth");
                (1..=filters.len()).for_each(|depth| drop(ui.weak(depth.to_string())));
                ui.end_row();
            }
            for Field { name, meaning, widget } in fields {
                ui.weak(*name).on_hover_text(*meaning);
                for (filter, place) in filters.iter_mut().zip(places) {
                    let response = ui.add(widget(filter)).accessible_name(format!("{name}{place}"));
                    changed |= response.on_hover_text(*meaning).changed();
                }
                ui.end_row();
            }
        });
    });
    changed
}

fn top_k(filter: &mut Filter) -> DragValue<'_> {
    DragValue::new(&mut filter.top_k)
        .custom_formatter(|value, _| if value == 0.0 { "all".into() } else { value.to_string() })
        .custom_parser(|text| if text.trim() == "all" { Some(0.0) } else { text.trim().parse().ok() })
}

fn top_p(filter: &mut Filter) -> DragValue<'_> {
    DragValue::new(&mut filter.top_p)
        .range(0.0..=1.0)
        .speed(0.005)
        .custom_formatter(|value, decimals| match value as f32 {
            Filter::ONLY_THE_LIKELIEST => "likeliest".into(),
            _ => eframe::egui::emath::format_with_decimals_in_range(value, decimals),
        })
        .custom_parser(|text| match text.trim() {
            "likeliest" => Some(Filter::ONLY_THE_LIKELIEST.into()),
            number => number.parse().ok(),
        })
}
