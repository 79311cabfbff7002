//! Text fields get the keys that they use, and input method (IME) events as the window reports them.

use eframe::egui::{Event, ImeEvent, Key, Modifiers};
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

/// Puts the cursor into the caption.
fn focus(desk: &mut Desk) {
    desk.harness.get_by_label("Caption").focus();
    desk.harness.run();
}

fn caption(desk: &Desk) -> Option<String> {
    desk.harness.get_by_label("Caption").value()
}

#[test]
fn undo_in_a_text_field_undoes_what_was_typed_and_not_the_picture() {
    let (_folder, mut desk) = captioned();
    let state = &mut desk.harness.state_mut().state;
    let code = state.document.as_ref().unwrap().stack().at(2, 5, 1).unwrap();
    state.edit(|document| document.set_code([2, 5], 1, (code + 1) % 64));
    desk.settle();
    let edited = desk.stack();
    focus(&mut desk);
    let before = caption(&desk);
    desk.harness.event(Event::Text("cat".into()));
    desk.settle();
    assert_ne!(caption(&desk), before);
    desk.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    desk.settle();
    assert_eq!((caption(&desk), desk.stack()), (before, edited.clone()));

    // Escape leaves the field.
    desk.harness.key_press(Key::Escape);
    desk.settle();
    desk.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    desk.settle();
    assert_ne!(desk.stack(), edited);
}

#[test]
fn escape_leaves_a_text_field_before_it_cancels_anything() {
    let (_folder, mut desk) = captioned();
    focus(&mut desk);
    let state = &mut desk.harness.state_mut().state;
    state.settings.count = 1;
    state.generate();
    state.generate();
    desk.harness.key_press(Key::Escape);
    desk.settle();
    assert_eq!(desk.state().gallery.items.len(), 2);

    let state = &mut desk.harness.state_mut().state;
    state.settings.count = 1000;
    state.generate();
    desk.harness.key_press(Key::Escape);
    desk.settle();
    assert!(desk.state().gallery.items.len() < 1002);
}
