//! The pinned cell: its codes, and others that could stand in their places.

use eframe::egui::{DragValue, TextureHandle, Ui};

use super::patch::Patch;
use crate::app::state::State;
use crate::engine::Condition;

/// Shows the pinned cell, and puts the code that the person chooses in place of the one at the chosen depth.
pub fn show(ui: &mut Ui, state: &mut State) {
    let Some(document) = &state.document else { return };
    let Some([row, col]) = document.pinned else {
        ui.label("Click a cell of the picture to see its codes and change them. Arrow keys move on to its neighbours.");
        return;
    };
    let (stack, depth) = (document.stack().clone(), document.depth);
    let cell = (row * stack.w() + col) * stack.depth();
    let codes = &stack.codes()[cell..cell + stack.depth()];
    let code = codes[depth];
    ui.strong(format!("Row {row}, column {col}"));
    if let Some(depth) = own(ui, state, codes) {
        return state.choose_depth(depth);
    }
    ui.separator();
    ui.strong(format!("Instead of code {code} at depth {}", depth + 1));
    let place = [row, col, depth];
    let typed = number(ui, state, place, code);
    let near = neighbours(ui, state, depth, code);
    let likely = suggestions(ui, state, place, code);
    if let Some(code) = typed.or(near).or(likely) {
        state.edit(|document| document.set_code([row, col], depth, code));
    }
}

/// The cell's codes. The depth that was clicked.
fn own(ui: &mut Ui, state: &mut State, codes: &[u32]) -> Option<usize> {
    let document = state.document.as_ref()?;
    let [row, col] = document.pinned?;
    let (chosen, limit) = (document.depth, document.edit().limits[row * document.stack().w() + col]);
    let patches = codes.iter().enumerate().map(|(d, &code)| {
        let note = if d < limit { format!("depth {}", d + 1) } else { "unused".into() };
        (format!("depth {}: code {code}", d + 1), d, code, note, d == chosen)
    });
    let clicked = row_of(ui, state, patches.collect());
    clicked.map(|(depth, _)| depth)
}

/// The code by its number. The number that was taken.
fn number(ui: &mut Ui, state: &mut State, place: [usize; 3], code: u32) -> Option<u32> {
    let size = state.loaded.as_ref().and_then(|loaded| loaded.codebook_sizes.get(place[2]).copied());
    let last = size.map_or(u32::MAX, |size| size.saturating_sub(1) as u32);
    let held = state.stack_view.number.take().filter(|(of, _)| *of == place).map(|(_, number)| number);
    let mut number = held.unwrap_or(code);
    let value = ui.horizontal(|ui| {
        let label = ui.label("Code");
        // What is typed for one place must not be taken at another.
        let value = ui.push_id(place, |ui| {
            ui.add(DragValue::new(&mut number).range(0..=last).speed(0.1).update_while_editing(false))
        });
        ui.weak(format!("of 0 to {last}"));
        value.inner.labelled_by(label.id)
    });
    // A number that is dragged is taken where it is let go, not at each step of the way.
    if value.inner.dragged() {
        state.stack_view.number = Some((place, number));
        return None;
    }
    let done = value.inner.drag_stopped() || value.inner.changed();
    (done && number != code).then_some(number)
}

/// The nearest codes of the codebook. The one that was clicked.
fn neighbours(ui: &mut Ui, state: &mut State, depth: usize, code: u32) -> Option<u32> {
    ui.label("Nearest in the codebook, by distance");
    let found = state.neighbours.clone().filter(|found| found.depth == depth && found.code == code);
    let Some(found) = found else {
        ui.weak("looking…");
        return None;
    };
    let patches = found.nearest.iter().map(|&(code, distance)| {
        (format!("use code {code} (neighbour)"), depth, code, format!("{distance:.2}"), false)
    });
    row_of(ui, state, patches.collect()).map(|(_, code)| code)
}

/// What the transformer would have put there. The one that was clicked.
fn suggestions(ui: &mut Ui, state: &mut State, place: [usize; 3], code: u32) -> Option<u32> {
    if state.loaded.as_ref().is_some_and(|loaded| loaded.stage2.is_none()) {
        ui.weak("This model has no RQ-Transformer that could suggest codes.");
        return None;
    }
    let condition = state.document.as_ref().map(|document| named(&document.condition))?;
    ui.label(format!("Likeliest by the transformer{condition}"));
    let found = state.explained.clone().filter(|(of, found)| *of == place && found.chosen.code == code);
    let Some((_, found)) = found else {
        ui.weak("looking…");
        return None;
    };
    let patches = found.suggestions.iter().map(|suggestion| {
        let percent = format!("{:.1} %", suggestion.probability * 100.0);
        let name = format!("use code {} ({percent})", suggestion.code);
        (name, place[2], suggestion.code, percent, suggestion.code == code)
    });
    let clicked = row_of(ui, state, patches.collect());
    let percent = found.chosen.probability * 100.0;
    ui.weak(format!(
        "Code {code}: {percent:.1} %, rank {}; entropy {:.1} bits",
        found.rank + 1,
        found.entropy
    ));
    clicked.map(|(_, code)| code)
}

/// How a condition ends a sentence.
pub fn named(condition: &Condition) -> String {
    match condition {
        Condition::Unconditional => String::new(),
        Condition::Class(class) => format!(", for class “{class}”"),
        Condition::Prompt(prompt) => format!(", for “{prompt}”"),
    }
}

/// Name, depth, code, note, and whether it is the one that is looked at.
type Entry = (String, usize, u32, String, bool);

/// Codes side by side. Depth and code of the one that was clicked.
fn row_of(ui: &mut Ui, state: &mut State, entries: Vec<Entry>) -> Option<(usize, u32)> {
    let mut clicked = None;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (name, depth, code, note, chosen) in entries {
            let patch = state.patch(depth, code).cloned();
            let texture: Option<TextureHandle> = patch.map(|patch| state.texture(ui.ctx(), &patch));
            let button = Patch { name, code, note, texture: texture.as_ref(), chosen };
            if button.show(ui).clicked() {
                clicked = Some((depth, code));
            }
        }
    });
    clicked
}
