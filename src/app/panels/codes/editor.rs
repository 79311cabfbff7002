//! Edits the pinned cell: its codes, and alternatives for each.

use eframe::egui::{DragValue, Rect, Ui, pos2};

use super::CodesView;
use super::patch::Patch;
use crate::app::action::Action;
use crate::app::document::Document;
use crate::app::panels::parts::{WHOLE, change};
use crate::app::state::State;
use crate::app::textures;
use residua_protocol::{Condition, around};

/// Order of the alternative codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The nearest or most probable first.
    #[default]
    Likely,
    /// The largest change of the picture first.
    Effect,
}

/// Orders with their names and descriptions.
const ORDERS: [(Order, &str, &str); 2] = [
    (Order::Likely, "Likeliest first", "The nearest and the most probable codes come first"),
    (Order::Effect, "Largest change first", "The codes that change the picture most come first"),
];

/// Shows the pinned cell, and replaces its code at the chosen depth if the user picks another.
pub fn show(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    view: &mut CodesView,
    actions: &mut Vec<Action>,
) {
    let Some([row, col]) = document.pinned else {
        ui.label("Click a cell to see and change its codes. Arrow keys move to neighbouring cells.");
        return;
    };
    let (stack, depth) = (document.stack(), document.depth);
    let cell = (row * stack.w() + col) * stack.depth();
    let codes = &stack.codes()[cell..cell + stack.depth()];
    let code = codes[depth];
    ui.strong(format!("Row {row}, column {col}"));
    if let Some(depth) = own(ui, document, [row, col], codes) {
        return actions.push(Action::ChooseDepth(depth));
    }
    ui.separator();
    ui.strong(format!("Replace code {code} at depth {}", depth + 1));
    ui.horizontal_wrapped(|ui| {
        for (order, name, help) in ORDERS {
            ui.selectable_value(&mut view.order, order, name).on_hover_text(help);
        }
    });
    let place = [row, col, depth];
    let typed = number(ui, state, &mut view.number, place, code);
    let near = neighbours(ui, state, view.order, depth, code);
    let likely = suggestions(ui, state, document, view.order, place, code);
    if let Some(code) = typed.or(near).or(likely) {
        actions.push(Action::SetCode(place, code));
    }
}

/// Shows the cell's codes, each with the picture around the cell decoded down to its depth. Returns the
/// clicked depth.
fn own(ui: &mut Ui, document: &Document, [row, col]: [usize; 2], codes: &[u32]) -> Option<usize> {
    let (chosen, limit) = (document.depth, document.edit().limits[row * document.stack().w() + col]);
    let (h, w) = (document.stack().h(), document.stack().w());
    let [rows, cols] = around([row, col], h, w);
    let corner = |row: usize, col: usize| pos2(col as f32 / w as f32, row as f32 / h as f32);
    let part = Rect::from_min_max(corner(rows.start, cols.start), corner(rows.end, cols.end));
    let mut clicked = None;
    side_by_side(ui, |ui| {
        for (d, &code) in codes.iter().enumerate() {
            let layer = document.layers.as_ref().and_then(|layers| layers.add.get(d));
            let texture = layer.map(|picture| textures::of(ui.ctx(), picture));
            let note = if d < limit { format!("depth {}", d + 1) } else { "unused".into() };
            let look = texture.as_ref().map(|texture| (texture, part));
            let name = format!("depth {}: code {code}", d + 1);
            let button = Patch { name, code, note, look, chosen: d == chosen }.show(ui);
            if button.on_hover_text("The picture around the cell, with the codes down to this one").clicked()
            {
                clicked = Some(d);
            }
        }
    });
    clicked
}

/// Shows a field for the code's number. Returns a newly entered number.
fn number(
    ui: &mut Ui,
    state: &State,
    dragged: &mut Option<([usize; 3], u32)>,
    place: [usize; 3],
    code: u32,
) -> Option<u32> {
    let size = state.loaded.as_ref().and_then(|loaded| loaded.codebook_sizes.get(place[2]).copied());
    let last = size.map_or(u32::MAX, |size| size.saturating_sub(1) as u32);
    let held = dragged.take().filter(|(of, _)| *of == place).map(|(_, number)| number);
    let mut number = held.unwrap_or(code);
    let value = ui.horizontal(|ui| {
        let label = ui.label("Code");
        // A number typed at one position must not apply to another.
        let value = ui.push_id(place, |ui| {
            ui.add(DragValue::new(&mut number).range(0..=last).speed(0.1).update_while_editing(false))
        });
        ui.weak(format!("of 0 to {last}"));
        value.inner.labelled_by(label.id)
    });
    // A dragged number takes effect on release, not at each step.
    if value.inner.dragged() {
        *dragged = Some((place, number));
        return None;
    }
    let done = value.inner.drag_stopped() || value.inner.changed();
    (done && number != code).then_some(number)
}

/// Shows the nearest codes in the codebook. Returns the clicked one.
fn neighbours(ui: &mut Ui, state: &State, order: Order, depth: usize, code: u32) -> Option<u32> {
    ui.label("Nearest in the codebook, by distance");
    let found = state.found.neighbours.as_ref().filter(|found| found.depth == depth && found.code == code);
    let Some(found) = found else {
        ui.weak("looking…");
        return None;
    };
    let entries = found.nearest.iter().map(|&(code, distance)| Entry {
        name: format!("use code {code} (neighbour)"),
        code,
        note: format!("{distance:.2}"),
        chosen: false,
    });
    choices(ui, state, order, entries.collect())
}

/// Shows the transformer's suggestions. Returns the clicked code.
fn suggestions(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    order: Order,
    place: [usize; 3],
    code: u32,
) -> Option<u32> {
    if let Some(why) = state.lacks_transformer() {
        ui.weak(why);
        return None;
    }
    ui.label(format!("Most likely codes of the transformer{}", named(&document.condition)));
    let found =
        state.found.explained.as_ref().filter(|(of, found)| *of == place && found.chosen.code == code);
    let Some((_, found)) = found else {
        ui.weak("looking…");
        return None;
    };
    let entries = found.suggestions.iter().map(|suggestion| {
        let percent = format!("{:.1} %", suggestion.probability * 100.0);
        let name = format!("use code {} ({percent})", suggestion.code);
        Entry { name, code: suggestion.code, note: percent, chosen: suggestion.code == code }
    });
    let clicked = choices(ui, state, order, entries.collect());
    let percent = found.chosen.probability * 100.0;
    ui.weak(format!(
        "Code {code}: {percent:.1} %, rank {}; entropy {:.1} bits",
        found.rank + 1,
        found.entropy
    ));
    clicked
}

/// A condition as the end of a sentence.
pub fn named(condition: &Condition) -> String {
    match condition {
        Condition::Unconditional => String::new(),
        Condition::Prompt(prompt) if prompt.trim().is_empty() => ", without a caption".into(),
        Condition::Class(class) => format!(", for class “{class}”"),
        Condition::Prompt(prompt) => format!(", for “{prompt}”"),
    }
}

/// A code in a list.
struct Entry {
    /// Its accessible name.
    name: String,
    code: u32,
    note: String,
    chosen: bool,
}

/// Shows codes side by side, each with a preview of the picture around the cell. Returns the clicked code.
fn choices(ui: &mut Ui, state: &State, order: Order, mut entries: Vec<Entry>) -> Option<u32> {
    if order == Order::Effect {
        let effect =
            |code: u32| state.found.choices.get(code).map_or(f32::NEG_INFINITY, |choice| choice.effect);
        entries.sort_by(|a, b| effect(b.code).total_cmp(&effect(a.code)));
        for entry in &mut entries {
            entry.note = state
                .found
                .choices
                .get(entry.code)
                .map_or("…".into(), |choice| format!("±{:.1}", choice.effect));
        }
    }
    let mut clicked = None;
    side_by_side(ui, |ui| {
        for Entry { name, code, note, chosen } in entries {
            let choice = state.found.choices.get(code);
            let texture = choice.map(|choice| textures::of(ui.ctx(), &choice.picture));
            let look = texture.as_ref().map(|texture| (texture, WHOLE));
            let mut button = Patch { name, code, note, look, chosen }.show(ui);
            if let Some(choice) = choice {
                button = button.on_hover_ui(|ui| change(ui, choice));
            }
            if button.clicked() {
                clicked = Some(code);
            }
        }
    });
    clicked
}

fn side_by_side(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        add(ui);
    });
}
