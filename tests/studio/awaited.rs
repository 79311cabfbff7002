//! What is saved or kept right after an edit is the picture of the edited codes, for which it waits.

use std::sync::Arc;

use residua::app::action::{Action, apply};
use residua::app::files::Saved;
use residua::app::gallery::{Item, Origin};
use residua::app::state::State;
use residua_io::image_io::Picture;

use crate::desk::Desk;

/// Changes a code.
fn edit(state: &mut State) {
    let code = state.document.as_ref().unwrap().stack().at(2, 5, 1).unwrap();
    state.edit(|document| document.set_code([2, 5], 1, (code + 1) % 64));
}

/// Limits some cells to their first code.
fn limit(state: &mut State) {
    state.select(&[[1, 1], [4, 4]], true);
    state.edit(|document| Ok(document.limit_selected(1)));
}

/// Asks to keep the open picture.
fn keep(desk: &mut Desk) {
    let ctx = desk.harness.ctx.clone();
    apply(vec![Action::Keep], &mut desk.harness.state_mut().state, &ctx);
}

/// The pictures that were kept.
fn kept(desk: &Desk) -> Vec<Item> {
    let items = desk.state().gallery.items.iter();
    items.filter(|item| matches!(item.origin, Origin::Edited)).cloned().collect()
}

/// The picture on the canvas.
fn shown(desk: &Desk) -> Arc<Picture> {
    desk.state().document.as_ref().and_then(|document| document.shown()).expect("a picture is open").clone()
}

#[test]
fn a_picture_is_saved_and_kept_with_its_own_codes() {
    let mut desk = Desk::new();
    let changes: [fn(&mut State); 3] = [edit, limit, |state| state.step_history(true)];
    for (count, change) in changes.into_iter().enumerate() {
        let before = shown(&desk);
        assert!(Saved::of(desk.state()).is_some());
        change(&mut desk.harness.state_mut().state);
        assert!(Saved::of(desk.state()).is_none(), "only the picture before is known");
        keep(&mut desk);
        assert_eq!(kept(&desk).len(), count);
        desk.settle();
        let item = kept(&desk).pop().expect("it is kept once it is decoded");
        assert_eq!(item.stack.as_ref(), Some(&desk.stack()));
        assert!(item.picture == shown(&desk) && item.picture != before);
        assert_eq!(kept(&desk).len(), count + 1);
    }
}

#[test]
fn what_waits_for_a_picture_is_given_up_with_it() {
    let mut desk = Desk::new();
    let state = &mut desk.harness.state_mut().state;
    // Keeps the models busy, so that nothing is decoded before it is cancelled.
    state.settings.count = 1000;
    state.generate();
    edit(state);
    keep(&mut desk);
    desk.harness.state_mut().state.cancel();
    desk.settle();
    let said = desk.state().log.text();
    assert!(said.contains("given up before it was decoded"), "{said}");
    edit(&mut desk.harness.state_mut().state);
    desk.settle();
    assert!(kept(&desk).is_empty(), "{said}");

    // It is decoded again if it has to be.
    let state = &mut desk.harness.state_mut().state;
    state.generate();
    edit(state);
    state.cancel();
    desk.settle();
    keep(&mut desk);
    desk.settle();
    assert!(kept(&desk).len() == 1 && kept(&desk)[0].picture == shown(&desk));
}
