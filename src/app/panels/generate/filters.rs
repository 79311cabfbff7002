//! Sampling filters: the same for everything, or separate ones for each depth or for the revisions.

use eframe::egui::{DragValue, Grid, ScrollArea, Ui};

use crate::app::filters::Filters;
use residua_core::config::Architecture;
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

/// The heading of each set of filters, and what follows the names of its fields.
const SETS: [(&str, &str); 2] = [("Draft", ""), ("Revisions", " of revisions")];

/// A column of the table.
struct Column<'a> {
    heading: String,
    /// What follows the names of its fields.
    of: String,
    /// The filters that it sets, all to the same values.
    filters: &'a mut [Filter],
}

/// Shows the `filters` that apply to the `loaded` model, and keeps in `set` those that the user sets; none if they are the
/// published ones. `wanted`: whether to show those of each depth even if they are equal.
pub fn show(
    ui: &mut Ui,
    loaded: &Loaded,
    mut filters: Filters,
    wanted: &mut bool,
    set: &mut Option<Filters>,
) {
    let (published, before) = (Filters::published(loaded), filters.clone());
    let each = each_depth(ui, wanted, &mut filters);
    let config = loaded.stage2.as_ref().map(|stage2| &stage2.config);
    if config.is_some_and(|config| config.kind == Architecture::Contextual) {
        each_phase(ui, &mut filters);
    }
    let guided = config.is_some_and(|config| config.null_token().is_some());
    table(ui, &FIELDS[..3 + usize::from(guided)], &mut filters, each);
    ui.add_enabled_ui(filters != published, |ui| {
        let button =
            ui.button("Published settings").on_disabled_hover_text("These are the published settings.");
        if button.clicked() {
            filters = published.clone();
            *wanted = false;
        }
    });
    if filters != before {
        *set = (filters != published).then_some(filters);
    }
}

/// Switches between filters for all depths and filters for each one, which are `wanted` or needed. Returns whether each
/// depth has its own.
fn each_depth(ui: &mut Ui, wanted: &mut bool, filters: &mut Filters) -> bool {
    let differ = |set: &mut Vec<Filter>| set.windows(2).any(|pair| pair[0] != pair[1]);
    let mut each = *wanted || filters.sets().any(differ);
    if ui.checkbox(&mut each, "Each depth separately").changed() {
        *wanted = each;
        if !each {
            filters.sets().for_each(|set| make_equal(set));
        }
    }
    each
}

/// Switches between the same filters for draft and revisions, and separate ones.
fn each_phase(ui: &mut Ui, filters: &mut Filters) {
    let mut apart = filters.revise.is_some();
    let help = "Separate settings for the revisions: the draft brings variety, the revisions quality.";
    if ui.checkbox(&mut apart, "Revise separately").on_hover_text(help).changed() {
        filters.revise = apart.then(|| filters.draft.clone());
    }
}

fn make_equal(filters: &mut [Filter]) {
    if let Some(&first) = filters.first() {
        filters.fill(first);
    }
}

/// A column for each set, or for `each` depth of it.
fn columns(filters: &mut Filters, each: bool) -> Vec<Column<'_>> {
    let alone = filters.revise.is_none();
    let mut columns = Vec::new();
    for (set, (title, of)) in filters.sets().zip(SETS) {
        let size = if each { 1 } else { set.len().max(1) };
        let title = if alone { "" } else { title };
        for (depth, filters) in (1..).zip(set.chunks_mut(size)) {
            let (heading, of) = if each {
                (format!("{title} {depth}").trim().into(), format!("{of} at depth {depth}"))
            } else {
                (title.into(), format!("{of} at all depths"))
            };
            columns.push(Column { heading, of, filters });
        }
    }
    columns
}

/// Shows a row for each field.
fn table(ui: &mut Ui, fields: &[Field], filters: &mut Filters, each: bool) {
    let mut columns = columns(filters, each);
    // Models may have many depths.
    ScrollArea::horizontal().id_salt("filters").show(ui, |ui| {
        Grid::new("filters").num_columns(1 + columns.len()).show(ui, |ui| {
            if columns.len() > 1 {
                ui.weak(if each { "Depth" } else { "" });
                columns.iter().for_each(|column| drop(ui.weak(&column.heading)));
                ui.end_row();
            }
            for Field { name, meaning, widget } in fields {
                ui.weak(*name).on_hover_text(*meaning);
                for Column { of, filters, .. } in &mut columns {
                    let response = ui.add(widget(&mut filters[0])).accessible_name(format!("{name}{of}"));
                    if response.on_hover_text(*meaning).changed() {
                        make_equal(filters);
                    }
                }
                ui.end_row();
            }
        });
    });
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
