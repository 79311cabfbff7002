//! Touch events as the window reports them: the first finger also moves the pointer.

use eframe::egui::{Event, Modifiers, PointerButton, Pos2, Rect, TouchDeviceId, TouchId, TouchPhase, vec2};
use egui_kittest::kittest::Queryable;

use crate::desk::Desk;

const RECONSTRUCTION: &str = "Reconstruction picture";

/// Sends one touch event and shows a frame.
fn finger(desk: &mut Desk, id: u64, phase: TouchPhase, pos: Pos2) {
    let events = &mut desk.harness.input_mut().events;
    events.push(Event::Touch { device_id: TouchDeviceId(1), id: TouchId(id), phase, pos, force: None });
    let button = |pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    match (id, phase) {
        (0, TouchPhase::Start) => events.extend([Event::PointerMoved(pos), button(true)]),
        (0, TouchPhase::Move) => events.push(Event::PointerMoved(pos)),
        (0, _) => events.extend([button(false), Event::PointerGone]),
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
fn a_tap_pins_a_cell() {
    let mut desk = Desk::new();
    let cell = rect(&desk, "row 2, column 3").center();
    finger(&mut desk, 0, TouchPhase::Start, cell);
    finger(&mut desk, 0, TouchPhase::End, cell);
    desk.settle();
    assert_eq!(desk.state().document.as_ref().expect("open").pinned, Some([2, 3]));
}
