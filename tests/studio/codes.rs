//! The panel "Codes" and the tools that select cells, as a user operates them.

use std::sync::Arc;

use eframe::egui::accesskit::Role;
use eframe::egui::{Event, Key, Modifiers, PointerButton, Pos2, Vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use residua::app::document::Document;
use residua::app::state::State;
use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_protocol::explanation::Suggestion;

use crate::desk::{Desk, autoregressive};

/// A desk large enough to show the whole panel, with a trained model: its codes change the picture around their cells.
fn large() -> Desk {
    Desk::with(autoregressive(), Vec2::new(1600.0, 1200.0))
}

fn state(desk: &Desk) -> &State {
    &desk.harness.state().state
}

fn document(desk: &Desk) -> &Document {
    state(desk).document.as_ref().expect("the sample image is open")
}

/// The image of the current stack.
fn picture(desk: &Desk) -> Arc<Picture> {
    let seen = document(desk).seen.as_ref().expect("the image is decoded");
    assert!(Arc::ptr_eq(&seen.stack, document(desk).stack()), "the image shows the current codes");
    seen.picture.clone()
}

fn press(desk: &mut Desk, modifiers: Modifiers, key: Key) {
    desk.harness.key_press_modifiers(modifiers, key);
    desk.settle();
}

/// Presses on the first cell, moves over the others and releases on the last.
fn draw(desk: &mut Desk, cells: &[[usize; 2]], modifiers: Modifiers) {
    let points: Vec<Pos2> = cells.iter().map(|&cell| desk.center(cell)).collect();
    let (first, last) = (points[0], points[points.len() - 1]);
    let button =
        |pos, pressed| Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers };
    desk.harness.event(Event::ModifiersChanged(modifiers));
    desk.harness.event(Event::PointerMoved(first));
    desk.harness.event(button(first, true));
    desk.harness.run();
    for point in points {
        desk.harness.event(Event::PointerMoved(point));
        desk.harness.run();
    }
    desk.harness.event(button(last, false));
    desk.harness.run();
    desk.harness.event(Event::ModifiersChanged(Modifiers::NONE));
    desk.settle();
}

/// The cells in which two stacks differ.
fn changed(before: &CodeStack, after: &CodeStack) -> Vec<[usize; 2]> {
    let mut cells: Vec<[usize; 2]> =
        before.diff(after).expect("the same shape").into_iter().map(|(row, col, _)| [row, col]).collect();
    cells.dedup();
    cells
}

/// A code that the panel offers for the pinned cell, with the name of its button.
fn neighbour(desk: &Desk) -> (u32, String) {
    let code = state(desk).found.neighbours.as_ref().expect("a cell is pinned").nearest[0].0;
    (code, format!("use code {code} (neighbour)"))
}

/// The mean squared change of pixels within two cells of `cell`, and of all pixels further away.
fn near_and_far(before: &Picture, after: &Picture, cell: [usize; 2]) -> [f64; 2] {
    let (wide, mut sums, mut counts) = (before.width(), [0.0; 2], [0.0; 2]);
    for (i, (before, after)) in before.data().iter().zip(after.data()).enumerate() {
        let [row, col] = [i / wide % wide, i % wide].map(|pixel| pixel / (wide / 8));
        let far = usize::from(row.abs_diff(cell[0]).max(col.abs_diff(cell[1])) > 2);
        sums[far] += f64::from(before - after).powi(2);
        counts[far] += 1.0;
    }
    [sums[0] / counts[0], sums[1] / counts[1]]
}

#[test]
fn changing_a_code_changes_the_image_around_its_cell() {
    let mut desk = large();
    let (opened, before) = (document(&desk).stack().clone(), picture(&desk));
    desk.click("row 3, column 4");
    assert_eq!(document(&desk).pinned, Some([3, 4]));
    for depth in 0..4 {
        let code = opened.at(3, 4, depth).unwrap();
        desk.click(&format!("depth {}: code {code}", depth + 1));
        assert_eq!(document(&desk).depth, depth);
        let (code, name) = neighbour(&desk);
        desk.click(&name);
        assert_eq!(document(&desk).stack().at(3, 4, depth).unwrap(), code);
        assert_eq!(opened.diff(document(&desk).stack()).unwrap(), [(3, 4, depth)]);
        let after = picture(&desk);
        // Attention and group norms affect all pixels, but only slightly.
        let [near, far] = near_and_far(&before, &after, [3, 4]);
        assert!(near > 20.0 * far, "depth {depth}: {near} near the cell, {far} away from it");

        press(&mut desk, Modifiers::COMMAND, Key::Z);
        assert_eq!(picture(&desk), before, "undo restores the same pixels");
        press(&mut desk, Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
        assert_eq!(picture(&desk), after, "redo restores the same pixels");
        desk.click("Undo");
        assert_eq!(document(&desk).stack(), &opened);
    }
}

/// Types a number into the code field without confirming it.
fn type_code(desk: &mut Desk, typed: &str) {
    desk.harness.get_by_role_and_label(Role::SpinButton, "Code").click();
    desk.harness.run();
    press(desk, Modifiers::COMMAND, Key::A);
    desk.harness.event(Event::Text(typed.into()));
    desk.harness.run();
}

#[test]
fn a_code_is_set_by_number() {
    let mut desk = large();
    desk.click("row 0, column 7");
    for (typed, taken) in [("17", 17), ("99999", 1023), ("-5", 0)] {
        type_code(&mut desk, typed);
        press(&mut desk, Modifiers::NONE, Key::Enter);
        assert_eq!(document(&desk).stack().at(0, 7, 3).unwrap(), taken, "{typed}");
        assert_eq!(changed(document(&desk).opened(), document(&desk).stack()), [[0, 7]]);
    }
    assert_eq!(document(&desk).undoable(), Some("code 0 at row 0, column 7, depth 4"));
}

#[test]
fn a_half_typed_number_counts_at_its_own_depth() {
    let mut desk = large();
    desk.click("row 4, column 4");
    let code = document(&desk).stack().at(4, 4, 2).unwrap();
    type_code(&mut desk, &code.to_string());
    press(&mut desk, Modifiers::NONE, Key::Enter);
    let codes = [2, 3].map(|depth| document(&desk).stack().at(4, 4, depth).unwrap());
    assert_eq!(codes, [code; 2], "equal codes, so that only the depth differs");
    type_code(&mut desk, "17");
    desk.harness.get_by_label("show depth 3").click();
    desk.harness.run();
    press(&mut desk, Modifiers::NONE, Key::Enter);
    assert_eq!(document(&desk).depth, 2);
    let codes = [2, 3].map(|depth| document(&desk).stack().at(4, 4, depth).unwrap());
    assert_eq!(codes, [code, 17], "it was typed at depth 4");
}

#[test]
fn dragging_a_number_is_one_edit() {
    let mut desk = large();
    desk.click("row 0, column 7");
    let code = document(&desk).stack().at(0, 7, 3).unwrap();
    let from = desk.harness.get_by_role_and_label(Role::SpinButton, "Code").rect().center();
    desk.harness.drag_at(from);
    for step in 1..=4 {
        desk.harness.hover_at(from + Vec2::new(30.0 * step as f32, 0.0));
        desk.harness.run();
        assert!(document(&desk).undoable().is_none());
    }
    desk.harness.drop_at(from + Vec2::new(120.0, 0.0));
    desk.settle();
    assert!(document(&desk).stack().at(0, 7, 3).unwrap() > code);
    desk.click("Undo");
    assert_eq!(document(&desk).stack(), document(&desk).opened());
}

#[test]
fn the_transformer_suggests_codes() {
    let mut desk = large();
    desk.click("row 2, column 2");
    let explained = state(&desk).found.explained.as_ref().expect("a cell is pinned").1.clone();
    let other = explained.suggestions.iter().find(|other| other.code != explained.chosen.code).unwrap();
    desk.click(&format!("use code {} ({:.1} %)", other.code, other.probability * 100.0));
    assert_eq!(document(&desk).stack().at(2, 2, 3).unwrap(), other.code);
}

#[test]
fn all_offered_codes_have_previews() {
    let mut desk = large();
    desk.click("row 3, column 4");
    // Several moves in a row request more than is answered.
    for key in [Key::ArrowDown, Key::ArrowLeft, Key::ArrowUp, Key::ArrowUp] {
        desk.harness.key_press(key);
        desk.harness.step();
    }
    desk.settle();
    let state = state(&desk);
    assert_eq!(document(&desk).pinned, Some([2, 3]));
    let near = state.found.neighbours.as_ref().unwrap().nearest.iter().map(|&(code, _)| code);
    let likely = state.found.explained.as_ref().unwrap().1.suggestions.iter().map(|other| other.code);
    for code in near.chain(likely) {
        assert!(state.found.choices.get(code).is_some(), "code {code}");
    }
}

/// The preview of a code matches the image after choosing that code.
#[test]
fn a_choice_is_previewed_in_the_image() {
    let mut desk = large();
    desk.click("row 3, column 4");
    let before = picture(&desk);
    let (code, name) = neighbour(&desk);
    let choice = state(&desk).found.choices.get(code).unwrap().clone();
    desk.click(&name);
    let after = picture(&desk);
    // 3x3 cells of 16x16 pixels, from row 2 and column 3.
    assert_eq!(*choice.picture, after.crop(48, 32, 48, 48).unwrap());
    let differences =
        before.data().iter().zip(after.data()).map(|(before, after)| f64::from(after - before).powi(2));
    let rms = (differences.sum::<f64>() / before.data().len() as f64).sqrt() * 127.5;
    assert!((f64::from(choice.effect) - rms).abs() < 1e-3 * rms, "{} {rms}", choice.effect);
}

/// The tooltip compares the picture before the choice with the one after it.
#[test]
fn the_pointer_over_a_choice_shows_its_change() {
    let mut desk = large();
    desk.click("row 3, column 4");
    let before = picture(&desk);
    let (code, name) = neighbour(&desk);
    let choice = state(&desk).found.choices.get(code).unwrap().clone();
    desk.harness.get_by_label(&name).hover();
    desk.harness.run_steps(8);
    desk.harness.get_by_label("with this code");
    desk.harness.get_by_label("the change");
    desk.harness.get_by_label_contains(&format!("the change, amplified {} times", choice.amplified));
    desk.harness.get_by_label_contains(&format!("pixels change by {:.1} of 255", choice.effect));
    desk.click(&name);
    let after = picture(&desk);
    let differences = before.data().iter().zip(after.data()).map(|(before, after)| after - before);
    let amplified = differences.map(|change| choice.amplified * change).collect();
    let expected = Picture::new(128, 128, amplified).unwrap().crop(48, 32, 48, 48).unwrap();
    assert_eq!(*choice.change, expected);
    assert!(choice.amplified > 1.0, "a code at the last depth changes little");
}

#[test]
fn choices_are_ordered_by_likelihood_or_by_effect() {
    let mut desk = large();
    desk.click("row 3, column 4");
    let code = document(&desk).stack().at(3, 4, 0).unwrap();
    desk.click(&format!("depth 1: code {code}"));
    let near = state(&desk).found.neighbours.clone().unwrap();
    let near = near.nearest.iter().map(|&(code, far)| (format!("use code {code} (neighbour)"), code, -far));
    let likely = state(&desk).found.explained.as_ref().unwrap().1.suggestions.clone();
    let likely = likely.iter().map(|&Suggestion { code, probability }| {
        (format!("use code {code} ({:.1} %)", 100.0 * probability), code, probability)
    });
    // The codes of a list in reading order.
    let read = |desk: &Desk, list: &[(String, u32, f32)]| -> Vec<u32> {
        let place = |name: &str| desk.harness.get_by_label(name).rect().min;
        let mut placed: Vec<_> = list.iter().map(|(name, code, _)| (place(name), *code)).collect();
        placed.sort_by_key(|(place, _)| (place.y as i32, place.x as i32));
        placed.into_iter().map(|(_, code)| code).collect()
    };
    for mut list in [near.collect::<Vec<_>>(), likely.collect()] {
        desk.click("Likeliest first");
        list.sort_by(|a, b| b.2.total_cmp(&a.2));
        assert_eq!(read(&desk, &list), list.iter().map(|(_, code, _)| *code).collect::<Vec<_>>());
        desk.click("Largest change first");
        let effect = |code: u32| state(&desk).found.choices.get(code).unwrap().effect;
        let effects: Vec<f32> = read(&desk, &list).into_iter().map(effect).collect();
        assert!(effects.windows(2).all(|pair| pair[0] >= pair[1]), "{effects:?}");
    }
}

#[test]
fn only_brushed_cells_are_resampled() {
    let mut desk = large();
    let (opened, before) = (document(&desk).stack().clone(), picture(&desk));
    desk.click("Brush");
    draw(&mut desk, &[[5, 1], [5, 4], [6, 4]], Modifiers::NONE);
    let brushed = [[5, 1], [5, 2], [5, 3], [5, 4], [6, 4]];
    assert_eq!(desk.selected(), brushed);
    draw(&mut desk, &[[5, 1], [5, 2]], Modifiers::SHIFT);
    assert_eq!(desk.selected(), brushed[2..]);
    desk.click("row 0, column 0");
    assert_eq!(desk.selected()[0], [0, 0], "a click is a short stroke");
    desk.click("Resample selected");
    let cells = changed(&opened, document(&desk).stack());
    assert!(!cells.is_empty() && cells.iter().all(|cell| desk.selected().contains(cell)), "{cells:?}");
    assert_ne!(picture(&desk), before);
    assert!(document(&desk).pinned.is_none(), "the brush does not pin a cell");
    desk.click("Undo");
    assert_eq!((document(&desk).stack(), &*picture(&desk)), (&opened, &*before));
}

#[test]
fn cells_are_swapped_with_another_stack() {
    let mut desk = large();
    desk.click("row 1, column 1");
    let (code, name) = neighbour(&desk);
    desk.click(&name);
    desk.click("row 6, column 6");
    let (_, name) = neighbour(&desk);
    desk.click(&name);
    desk.harness.state_mut().state.keep();
    press(&mut desk, Modifiers::COMMAND, Key::Z);
    press(&mut desk, Modifiers::COMMAND, Key::Z);
    desk.click("Rectangle");
    draw(&mut desk, &[[2, 3], [0, 1]], Modifiers::NONE);
    assert_eq!(desk.selected().len(), 9);
    desk.click("Swap from");
    desk.click("1: blue-beard.png");
    assert_eq!(changed(document(&desk).opened(), document(&desk).stack()), [[1, 1]]);
    assert_eq!(document(&desk).stack().at(1, 1, 3).unwrap(), code);
}

#[test]
fn depth_limits_are_set_and_reverted() {
    let mut desk = large();
    let before = picture(&desk);
    desk.click("Rectangle");
    draw(&mut desk, &[[1, 1], [2, 2]], Modifiers::NONE);
    desk.click("Invert selection");
    assert_eq!(desk.selected().len(), 60);
    desk.click("Select none");
    assert!(desk.harness.get_by_label("Limit selected").accesskit_node().is_disabled());
    draw(&mut desk, &[[1, 1], [2, 2]], Modifiers::NONE);
    desk.harness.get_by_role_and_label(Role::Slider, "Depth limit").set_value_accesskit(1.0);
    desk.settle();
    desk.click("Limit selected");
    let limited = document(&desk).edit().limits.iter().filter(|limit| **limit == 1).count();
    assert_eq!((limited, document(&desk).stack()), (4, document(&desk).opened()));
    let [near, far] = near_and_far(&before, &picture(&desk), [1, 1]);
    assert!(near > 20.0 * far, "{near} near the cells, {far} away from them");
    desk.click("Select all");
    desk.click("Revert to opened");
    assert_eq!(picture(&desk), before);
    assert!(document(&desk).undoable().is_some_and(|what| what == "revert to opened"));
}

#[test]
fn depths_are_chosen_by_key_map_and_rate() {
    let mut desk = large();
    let shown = |desk: &Desk| document(desk).shown().expect("decoded").clone();
    let layers = document(&desk).layers.clone().expect("decoded");
    press(&mut desk, Modifiers::NONE, Key::Num2);
    assert!(Arc::ptr_eq(&shown(&desk), &layers.add[1]));
    desk.click("Select");
    assert!(Arc::ptr_eq(&shown(&desk), &layers.select[1]));
    for (kind, depth) in [("Code colours", 3), ("Residuals", 4), ("Pictures", 1)] {
        desk.click("Shown by depth");
        desk.harness.get_by_role_and_label(Role::Button, kind).click();
        desk.settle();
        desk.click(&format!("show depth {depth}"));
        assert!(Arc::ptr_eq(&shown(&desk), &layers.select[depth - 1]));
    }
    desk.click("Rate by depth");
    let (rate, psnr) = layers.rate_distortion[2];
    desk.harness.get_by_label(&format!("{rate:.3}"));
    desk.harness.get_by_label(&format!("{psnr:.2}"));
    desk.click("rate at depth 3");
    desk.click("Add");
    assert!(Arc::ptr_eq(&shown(&desk), &layers.add[2]));
}

#[test]
fn the_pointer_over_a_cell_shows_its_codes() {
    let mut desk = large();
    let code = document(&desk).stack().at(4, 2, 1).unwrap();
    desk.harness.get_by_label("row 4, column 2").hover();
    desk.harness.run_steps(8);
    desk.harness.get_by_label("Row 4, column 2");
    desk.harness.get_by_label(&code.to_string());
    desk.harness.get_by_label("what depth 4 adds");
    let norms = &document(&desk).layers.as_ref().unwrap().residual_norms[(4 * 8 + 2) * 4..][..4];
    for norm in norms {
        assert!(desk.harness.query_all_by_label(&format!("{norm:.2}")).count() > 0, "{norm}");
    }
}
