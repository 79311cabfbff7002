//! Touch events as the window reports them: the first finger also moves the pointer.

use eframe::egui::{Event, Pos2, Rect, TouchDeviceId, TouchId, TouchPhase, vec2};
use egui_kittest::kittest::Queryable;

use crate::desk::{Desk, button};

const RECONSTRUCTION: &str = "Reconstruction picture";
const OVERLAY: &str = "Original and reconstruction";

fn touch(id: u64, phase: TouchPhase, pos: Pos2) -> Event {
    Event::Touch { device_id: TouchDeviceId(1), id: TouchId(id), phase, pos, force: None }
}

/// Sends one touch event and shows a frame.
fn finger(desk: &mut Desk, id: u64, phase: TouchPhase, pos: Pos2) {
    let events = &mut desk.harness.input_mut().events;
    events.push(touch(id, phase, pos));
    match (id, phase) {
        (0, TouchPhase::Start) => events.extend([Event::PointerMoved(pos), button(pos, true)]),
        (0, TouchPhase::Move) => events.push(Event::PointerMoved(pos)),
        (0, _) => events.extend([button(pos, false), Event::PointerGone]),
        _ => (),
    }
    desk.harness.step();
}

fn rect(desk: &Desk, name: &str) -> Rect {
    desk.harness.get_by_label(name).rect()
}

/// Moves two fingers around a point from one distance to another.
fn pinch(desk: &mut Desk, center: Pos2, from: f32, to: f32) {
    let at = |distance: f32| [center - vec2(distance, 0.0), center + vec2(distance, 0.0)];
    for (phase, distance) in [(TouchPhase::Start, from), (TouchPhase::Move, to), (TouchPhase::End, to)] {
        for (id, pos) in at(distance).into_iter().enumerate() {
            finger(desk, id as u64, phase, pos);
        }
    }
    desk.settle();
}

#[test]
fn two_fingers_zoom_the_image_and_one_moves_it() {
    let mut desk = Desk::new();
    let before = rect(&desk, RECONSTRUCTION);
    pinch(&mut desk, before.center(), 20.0, 60.0);
    let zoomed = rect(&desk, RECONSTRUCTION);
    assert!((zoomed.width() / before.width() - 3.0).abs() < 0.1, "{before} became {zoomed}");
    let visible = before.center();
    finger(&mut desk, 0, TouchPhase::Start, visible);
    for step in 1..=5 {
        finger(&mut desk, 0, TouchPhase::Move, visible - vec2(10.0, 4.0) * step as f32);
    }
    let moved = rect(&desk, RECONSTRUCTION).min - zoomed.min;
    finger(&mut desk, 0, TouchPhase::End, visible - vec2(50.0, 20.0));
    assert!(moved.x < -20.0, "the image follows the finger: {moved}");

    pinch(&mut desk, visible, 60.0, 20.0);
    assert!(rect(&desk, RECONSTRUCTION).width() < zoomed.width() / 2.0);
}

#[test]
fn two_fingers_do_not_move_the_wipe() {
    let mut desk = Desk::new();
    desk.click("Overlay");
    let before = rect(&desk, OVERLAY);
    pinch(&mut desk, before.center(), 20.0, 60.0);
    assert!(rect(&desk, OVERLAY).width() > 2.0 * before.width());
    assert_eq!(desk.harness.state().views.picture.wipe, 0.5);
}

/// Two fingers on the picture zoom it, and the cells under the first one stay as they are.
#[test]
fn a_second_finger_drops_the_stroke_of_the_first() {
    let mut desk = Desk::new();
    let opened = desk.stack();
    desk.click("Brush");
    desk.click("row 6, column 6");
    for tool in ["Revise", "Brush", "Rectangle"] {
        desk.click(tool);
        let [from, to, other] = [[2, 1], [2, 4], [5, 4]].map(|cell| desk.center(cell));
        finger(&mut desk, 0, TouchPhase::Start, from);
        finger(&mut desk, 0, TouchPhase::Move, to);
        let is_drawn = desk.selected().contains(&[2, 3]);
        assert_eq!(is_drawn, tool != "Rectangle", "{tool}");
        finger(&mut desk, 1, TouchPhase::Start, other);
        let before = rect(&desk, RECONSTRUCTION).width();
        finger(&mut desk, 1, TouchPhase::Move, other + vec2(0.0, 60.0));
        finger(&mut desk, 0, TouchPhase::Move, to - vec2(0.0, 60.0));
        finger(&mut desk, 1, TouchPhase::End, other + vec2(0.0, 60.0));
        finger(&mut desk, 0, TouchPhase::Move, to);
        finger(&mut desk, 0, TouchPhase::End, to);
        desk.settle();
        assert!(rect(&desk, RECONSTRUCTION).width() > 1.2 * before, "they zoom");
        assert_eq!(desk.stack(), opened, "{tool}");
        assert_eq!(desk.selected(), [[6, 6]], "{tool}");
        desk.click("Fit");
    }
    // A finger alone draws.
    desk.click("Revise");
    let [from, to] = [[2, 1], [2, 4]].map(|cell| desk.center(cell));
    finger(&mut desk, 0, TouchPhase::Start, from);
    finger(&mut desk, 0, TouchPhase::Move, to);
    finger(&mut desk, 0, TouchPhase::End, to);
    desk.settle();
    assert_ne!(desk.stack(), opened);
    assert_eq!(desk.selected(), [[2, 1], [2, 2], [2, 3], [2, 4]]);
}

/// The first finger stays in place so briefly that this would be a tap, if it were alone.
#[test]
fn two_fingers_are_no_tap() {
    let mut desk = Desk::new();
    let opened = desk.stack();
    for tool in ["Revise", "Brush", "Pin"] {
        desk.click(tool);
        let cell = desk.center([2, 3]);
        for ends in [[0, 1], [1, 0]] {
            let at = |id: u64| cell + vec2(0.0, 80.0 * id as f32);
            finger(&mut desk, 0, TouchPhase::Start, at(0));
            finger(&mut desk, 1, TouchPhase::Start, at(1));
            ends.into_iter().for_each(|id| finger(&mut desk, id, TouchPhase::End, at(id)));
            desk.settle();
            assert_eq!(desk.stack(), opened, "{tool}");
            assert!(desk.selected().is_empty(), "{tool}");
            assert!(desk.state().document.as_ref().expect("open").pinned.is_none(), "{tool}");
        }
    }
}

/// A browser reports the press first, again for the second finger, and one release for both.
#[test]
fn a_second_finger_drops_the_stroke_in_a_browser() {
    let mut desk = Desk::new();
    let opened = desk.stack();
    desk.click("Revise");
    let [from, to, other] = [[2, 1], [2, 4], [5, 4]].map(|cell| desk.center(cell));
    let frames = [
        vec![Event::PointerMoved(from), button(from, true), touch(0, TouchPhase::Start, from)],
        vec![Event::PointerMoved(to), touch(0, TouchPhase::Move, to)],
        vec![button(to, true), touch(1, TouchPhase::Start, other)],
        vec![button(to, false), Event::PointerGone, touch(1, TouchPhase::End, other)],
        vec![button(to, false), Event::PointerGone, touch(0, TouchPhase::End, to)],
    ];
    for events in frames {
        desk.harness.input_mut().events.extend(events);
        desk.harness.step();
    }
    desk.settle();
    assert_eq!(desk.stack(), opened);
    assert!(desk.selected().is_empty());
}

#[test]
fn a_tap_pins_a_cell() {
    let mut desk = Desk::new();
    let cell = rect(&desk, "row 2, column 3").center();
    finger(&mut desk, 0, TouchPhase::Start, cell);
    finger(&mut desk, 0, TouchPhase::End, cell);
    desk.settle();
    assert_eq!(desk.state().document.as_ref().expect("open").pinned, Some([2, 3]));
}
