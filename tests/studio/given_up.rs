//! Revisions that are given up do not come back later, and others go on.

use eframe::egui::Vec2;
use residua::app::state::State;
use residua_protocol::JobId;

use crate::desk::{Desk, small};

fn desk() -> Desk {
    Desk::with(small(), Vec2::new(1600.0, 1200.0))
}

/// Keeps the models busy until the returned job is stopped.
fn keep_busy(state: &mut State) -> JobId {
    state.settings.count = 1000;
    state.generate();
    state.jobs.called("sampling").expect("it is sampling").0
}

/// Measures the open codes, and asserts that nothing else happens.
fn only_measure(desk: &mut Desk) {
    let before = desk.stack();
    desk.click("Surprise");
    assert!(desk.state().known_surprise().is_some());
    assert_eq!(desk.stack(), before);
}

#[test]
fn the_worst_cell_of_codes_that_are_edited_meanwhile_is_revised_after_all() {
    let mut desk = desk();
    let other = (desk.stack().at(7, 7, 0).unwrap() + 1) % 64;
    let state = &mut desk.harness.state_mut().state;
    // The likeliest codes, so that this does not depend on luck.
    let mut filters = state.filters();
    filters.draft.iter_mut().for_each(|filter| filter.temperature = 0.0);
    state.settings.filters = Some(filters);
    state.revise_worst(1);
    state.edit(|document| document.set_code([7, 7], 0, other));
    desk.settle();
    assert_eq!(desk.state().document.as_ref().unwrap().undoable(), Some("revise cells"));
    only_measure(&mut desk);
}

#[test]
fn worst_cells_are_not_revised_later_if_their_revision_is_stopped() {
    let mut desk = desk();
    let state = &mut desk.harness.state_mut().state;
    state.revise_worst(3);
    let busy = keep_busy(state);
    while !state.jobs.are_replacing() {
        assert!(state.wait());
    }
    let (revision, _) = state.jobs.called("sampling").expect("it waits");
    state.stop(revision);
    state.stop(busy);
    desk.settle();
    only_measure(&mut desk);
}

#[test]
fn worst_cells_are_not_revised_later_if_the_models_are_lost() {
    let mut desk = desk();
    let state = &mut desk.harness.state_mut().state;
    state.revise_worst(2);
    state.lost("a test lost the models");
    desk.settle();
    only_measure(&mut desk);
}

#[test]
fn a_stroke_that_waits_is_not_given_up_because_a_file_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk();
    let opened = desk.stack();
    let state = &mut desk.harness.state_mut().state;
    let busy = keep_busy(state);
    for row in [1, 5] {
        state.select_by(|_| false);
        state.select(&[1, 2, 3, 4, 5].map(|col| [row, col]), true);
        state.revise_selected();
    }
    state.open_path(&folder.path().join("missing.png"));
    while state.log.notice.is_none() {
        assert!(state.wait());
    }
    state.stop(busy);
    desk.settle();
    let mut rows: Vec<usize> = opened.diff(&desk.stack()).unwrap().into_iter().map(|(row, ..)| row).collect();
    rows.dedup();
    assert_eq!(rows, [1, 5]);
}
