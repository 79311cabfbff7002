//! Strokes and clicks of the pointer, of which a slow frame gets several events at once.

use egui_kittest::kittest::Queryable;
use residua_core::codes::CodeStack;

use crate::desk::Desk;

/// The cells in which two stacks differ.
fn changed(before: &CodeStack, after: &CodeStack) -> Vec<[usize; 2]> {
    let places = before.diff(after).expect("one shape");
    places.into_iter().map(|(row, col, _)| [row, col]).collect()
}

#[test]
fn strokes_within_a_frame_are_drawn() {
    let mut desk = Desk::large();
    desk.click("Brush");
    desk.paint_at_once(&[&[[1, 1], [1, 4], [3, 4]], &[[6, 0], [6, 1]]]);
    let passed = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 4], [3, 4], [6, 0], [6, 1]];
    assert_eq!(desk.selected(), passed, "round the corner, and none between the two");
    desk.harness.hover_at(desk.center([7, 7]));
    desk.settle();
    assert_eq!(desk.selected(), passed, "both are over");

    desk.harness.state_mut().state.select_by(|_| false);
    desk.click("Rectangle");
    desk.paint_at_once(&[&[[4, 5], [3, 1], [2, 3]]]);
    let spanned = [[2, 3], [2, 4], [2, 5], [3, 3], [3, 4], [3, 5], [4, 3], [4, 4], [4, 5]];
    assert_eq!(desk.selected(), spanned);
}

#[test]
fn a_stroke_within_a_frame_is_revised() {
    let mut desk = Desk::large();
    let opened = desk.stack();
    desk.click("Revise");
    desk.paint_at_once(&[&[[2, 1], [2, 5]]]);
    let cells = changed(&opened, &desk.stack());
    assert!(!cells.is_empty() && cells.iter().all(|&[row, col]| row == 2 && (1..=5).contains(&col)));
    desk.click("Undo");
    assert_eq!(desk.stack(), opened);
}

/// A press and a release at one place are a click, or a stroke if they are long apart.
#[test]
fn a_press_revises_a_cell_once() {
    let mut desk = Desk::large();
    let opened = desk.stack();
    desk.click("Revise");
    // Frames are a quarter of a second apart. After 0.8 s, it is no longer a click.
    for frames in [0, 1, 8] {
        match frames {
            0 => desk.paint_at_once(&[&[[6, 6]]]),
            _ => {
                let cell = desk.center([6, 6]);
                desk.harness.drag_at(cell);
                (0..frames).for_each(|_| desk.harness.step());
                desk.harness.drop_at(cell);
                desk.settle();
            }
        }
        let cells = changed(&opened, &desk.stack());
        assert!(!cells.is_empty() && cells.iter().all(|&cell| cell == [6, 6]), "{frames}: {cells:?}");
        desk.click("Undo");
        assert_eq!(desk.stack(), opened, "{frames}");
    }
}

#[test]
fn a_stroke_does_not_paint_what_is_under_a_window() {
    let mut desk = Desk::new();
    desk.enter("Seed", 7.0);
    desk.enter("Pictures", 2.0);
    desk.click("Generate (Ctrl+Enter)");
    ["7-0", "7-1", "Compare", "Brush"].iter().for_each(|name| desk.click(name));
    let window = desk.harness.get_by_label("7-1, compared").rect();
    let under = (0..64).map(|cell| [cell / 8, cell % 8]).filter(|&cell| window.contains(desk.center(cell)));
    let under: Vec<[usize; 2]> = under.collect();
    assert!(under.len() > 1, "the window lies over the picture");
    let stroke = [under[0], under[under.len() - 1]];
    desk.paint_at_once(&[&stroke]);
    assert!(desk.selected().is_empty(), "{:?}", desk.selected());
    desk.click("Close the comparison");
    desk.paint_at_once(&[&stroke]);
    assert!(stroke.iter().all(|cell| desk.selected().contains(cell)));
}
