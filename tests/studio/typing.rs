//! Input method (IME) events as the window reports them.

use eframe::egui::{Event, ImeEvent, Key};
use egui_kittest::kittest::Queryable;
use residua::app::fonts;
use residua_protocol::Condition;

use crate::captions::captioned;
use crate::desk::Desk;

/// Sends one input method event and shows a frame.
fn compose(desk: &mut Desk, event: ImeEvent) {
    desk.harness.event(Event::Ime(event));
    desk.harness.step();
}

fn preedit(text: &str) -> ImeEvent {
    ImeEvent::Preedit { text: text.into(), active_range_chars: None }
}

#[test]
fn a_caption_is_composed_by_an_input_method() {
    let (_folder, mut desk) = captioned();
    fonts::install(&desk.harness.ctx).join().expect("the fonts are listed");
    desk.harness.get_by_label("Caption").focus();
    desk.harness.run();
    assert!(desk.harness.output().platform_output.ime.is_some(), "the window enables the input method");

    for step in ["ね", "ねk", "ねこ"] {
        compose(&mut desk, preedit(step));
        assert_eq!(desk.harness.get_by_label("Caption").value().as_deref(), Some(step));
    }
    compose(&mut desk, preedit("猫"));
    compose(&mut desk, ImeEvent::Commit("猫".into()));
    desk.settle();
    assert_eq!(desk.state().condition, Condition::Prompt("猫".into()));

    compose(&mut desk, preedit("い"));
    compose(&mut desk, preedit(""));
    desk.harness.key_press(Key::ArrowLeft);
    desk.settle();
    compose(&mut desk, ImeEvent::Commit("白".into()));
    desk.settle();
    assert_eq!(desk.state().condition, Condition::Prompt("白猫".into()), "cancelled text leaves nothing");
}
