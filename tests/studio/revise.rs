//! The tool "Revise": cells that are painted over are resampled, by an autoregressive model and by a contextual one.

use std::sync::Arc;

use eframe::egui::Vec2;
use eframe::egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use residua::app::Start;
use residua::app::state::State;
use residua_core::codes::CodeStack;
use residua_core::sampling::Rounds;
use residua_io::image_io::Picture;
use residua_protocol::Condition;

use crate::desk::{Desk, SMALL, SMALL_RQVAE, small};

/// A desk with a contextual model of random weights.
fn contextual() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    crate::contextual::write(folder.path(), &crate::contextual::config(64));
    let model = Some(folder.path().to_str().unwrap().into());
    let start = Start { model, rqvae: Some(SMALL_RQVAE.into()), ..small() };
    Desk::with(start, Vec2::new(1600.0, 1200.0))
}

/// The picture on the canvas.
fn shown(state: &State) -> Arc<Picture> {
    state.document.as_ref().and_then(|document| document.shown()).expect("the sample is open").clone()
}

/// The places in which two stacks differ.
fn changed(before: &CodeStack, after: &CodeStack) -> Vec<(usize, usize, usize)> {
    before.diff(after).expect("one shape")
}

#[test]
fn painted_cells_are_resampled_again_and_undone() {
    for mut desk in [Desk::large(), contextual()] {
        let opened = desk.stack();
        // "Again" takes another seed all the same.
        desk.harness.state_mut().state.settings.seed_locked = true;
        desk.click("Revise");
        assert!(desk.harness.get_by_label("Again").accesskit_node().is_disabled());
        desk.paint([2, 1], [2, 5]);
        let first = desk.stack();
        let places = changed(&opened, &first);
        assert!(!places.is_empty() && places.iter().all(|&(row, col, _)| row == 2 && (1..=5).contains(&col)));
        let seen = desk.state().document.as_ref().unwrap().seen.clone().expect("it is decoded");
        assert_eq!(seen.stack, first);

        desk.click("Again");
        let second = desk.stack();
        assert_ne!(second, first, "another seed");
        assert!(changed(&opened, &second).iter().all(|&(row, col, _)| row == 2 && (1..=5).contains(&col)));
        desk.click("Undo");
        assert_eq!(desk.stack(), first, "one variation back");
        desk.click("Undo");
        assert_eq!(desk.stack(), opened);

        // A click is a stroke of one cell, and a weak one keeps the first codes.
        desk.harness.get_by_role_and_label(Role::Slider, "Strength").set_value_accesskit(2.0);
        desk.settle();
        desk.click("row 6, column 6");
        let places = changed(&opened, &desk.stack());
        assert!(
            !places.is_empty() && places.iter().all(|&(row, col, depth)| [row, col] == [6, 6] && depth >= 2)
        );
        assert_eq!(desk.state().document.as_ref().unwrap().undoable(), Some("revise cells"));
        assert!(desk.state().document.as_ref().unwrap().preview.is_none());
    }
}

#[test]
fn a_rectangle_is_revised_when_it_is_let_go() {
    let mut desk = Desk::large();
    let opened = desk.stack();
    desk.click("Revise");
    desk.click("Paint a rectangle");
    desk.paint([2, 1], [4, 5]);
    let is_inside = |row: usize, col: usize| (2..=4).contains(&row) && (1..=5).contains(&col);
    let selected = desk.state().document.as_ref().unwrap().selected.clone();
    assert!(selected.iter().enumerate().all(|(cell, &selected)| selected == is_inside(cell / 8, cell % 8)));
    let places = changed(&opened, &desk.stack());
    assert!(!places.is_empty() && places.iter().all(|&(row, col, _)| is_inside(row, col)), "{places:?}");
    desk.click("Undo");
    assert_eq!(desk.stack(), opened);
}

/// A stroke waits for the one before, and what is edited in the meantime stays.
#[test]
fn strokes_and_edits_may_follow_a_stroke_at_once() {
    for mut desk in [Desk::large(), contextual()] {
        let opened = desk.stack();
        let edited = (opened.at(7, 7, 0).unwrap() + 1) % 64;
        let state = &mut desk.harness.state_mut().state;
        for row in [1, 5] {
            state.select_by(|_| false);
            state.select(&[1, 2, 3, 4, 5].map(|col| [row, col]), true);
            state.revise_selected();
        }
        state.edit(|document| document.set_code([7, 7], 0, edited));
        desk.settle();
        let rows = |before: &CodeStack, after: &CodeStack| {
            let mut rows: Vec<usize> = changed(before, after).into_iter().map(|(row, ..)| row).collect();
            rows.dedup();
            rows
        };
        let both = desk.stack();
        assert_eq!(rows(&opened, &both), [1, 5, 7]);
        assert_eq!(both.at(7, 7, 0).unwrap(), edited);
        desk.click("Revise");
        desk.click("Again");
        assert_eq!(rows(&both, &desk.stack()), [5], "the last stroke");
        for left in [&[1, 5, 7][..], &[1, 7], &[7], &[]] {
            desk.click("Undo");
            assert_eq!(rows(&opened, &desk.stack()), left);
        }
    }
}

/// A picture is decoded before the stroke that waits, and its layers after it, even if nothing comes of the stroke.
#[test]
fn the_layers_of_a_picture_give_way_to_the_next_stroke() {
    for is_stopped in [false, true] {
        let mut desk = Desk::large();
        let other = (desk.stack().at(7, 7, 0).unwrap() + 1) % 64;
        let state = &mut desk.harness.state_mut().state;
        // Keeps the models busy until all is sent.
        state.settings.count = 1;
        state.generate();
        state.edit(|document| document.set_code([7, 7], 0, other));
        let edited = state.document.as_ref().unwrap().stack().clone();
        state.select(&[1, 2, 3].map(|col| [2, col]), true);
        state.revise_selected();
        if is_stopped {
            let (revision, _) = state.jobs.called("sampling").expect("it waits");
            state.stop(revision);
        }
        let mut is_seen = false;
        while state.is_busy() && state.wait() {
            let document = state.document.as_ref().unwrap();
            if state.jobs.are_replacing() {
                is_seen |= document.seen.as_ref().unwrap().stack == edited;
                assert_ne!(document.layers.as_ref().unwrap().stack, edited, "they would delay the stroke");
            }
        }
        assert!(is_seen);
        let document = state.document.as_ref().unwrap();
        assert_eq!(*document.stack() == edited, is_stopped);
        assert_eq!(document.layers.as_ref().unwrap().stack, *document.stack());
    }
}

#[test]
fn a_revision_is_previewed_until_it_is_done() {
    let mut desk = contextual();
    desk.click("Revise");
    desk.begin_to_paint([0, 0], [7, 7]);
    let mut previewed = false;
    while desk.state().is_busy() && desk.harness.state_mut().state.wait() {
        previewed |= desk.state().document.as_ref().unwrap().preview.is_some();
    }
    assert!(previewed);
    desk.settle();
    assert!(desk.state().document.as_ref().unwrap().preview.is_none());
}

/// The picture before a revision does not come back while the one after it is decoded, nor while its layers are.
#[test]
fn the_picture_before_a_revision_is_not_shown_after_it() {
    for depth in [3, 1] {
        let mut desk = Desk::large();
        let opened = desk.stack();
        let state = &mut desk.harness.state_mut().state;
        state.choose_depth(depth);
        let before = shown(state);
        state.select(&[1, 2, 3, 4, 5].map(|col| [2, col]), true);
        state.revise_selected();
        while *state.document.as_ref().unwrap().stack() == opened {
            assert!(state.wait(), "the stroke changes the codes");
        }
        let sampled = shown(state);
        assert_ne!(sampled, before);
        while state.is_busy() && state.wait() {
            assert_ne!(shown(state), before);
        }
        let document = state.document.as_ref().unwrap();
        assert!(document.preview.is_none());
        assert_eq!(sampled, document.seen.as_ref().unwrap().picture, "the sampled picture is shown at once");
        let last = if depth == 3 { &sampled } else { &document.layers.as_ref().unwrap().add[depth] };
        assert_eq!(shown(state), *last);
    }
}

#[test]
fn a_revision_is_for_the_condition_that_is_chosen() {
    let mut desk = Desk::large();
    let state = &mut desk.harness.state_mut().state;
    state.settings.seed_locked = true;
    // Random weights tell the classes apart only a little.
    let mut filters = state.filters();
    filters.draft.iter_mut().for_each(|filter| filter.temperature = 0.2);
    state.settings.filters = Some(filters);
    let opened = desk.stack();
    desk.click("Revise");
    desk.paint([2, 1], [5, 6]);
    let own = desk.stack();
    desk.click("Undo");
    desk.click("Another class");
    desk.paint([2, 1], [5, 6]);
    assert_eq!(desk.stack(), own, "at first the class of new pictures, which is the same");
    desk.click("Undo");
    desk.click("Revise as");
    desk.click("Revise as 4");
    desk.paint([2, 1], [5, 6]);
    let other = desk.stack();
    assert!(other != own && other != opened, "the same cells and seed, for another class");
    let picture = desk.state().document.as_ref().unwrap().condition.clone();
    assert_eq!(picture, Condition::Class("0".into()), "the picture keeps its own");
    desk.click("Undo");
    desk.click("As in the rest of the picture, for class “0”");
    desk.paint([2, 1], [5, 6]);
    assert_eq!(desk.stack(), own);
}

/// A revision that is under way, and the strokes before it, are of the picture that they began in.
#[test]
fn another_picture_is_not_revised_by_the_strokes_of_the_last() {
    let mut desk = Desk::large();
    desk.click("Revise");
    desk.paint([2, 1], [2, 5]);
    desk.begin("Again");
    let other = Arc::new(CodeStack::new(8, 8, 4, vec![7; 256]).unwrap());
    desk.harness.state_mut().state.open_stack("other", other.clone(), None);
    desk.settle();
    assert_eq!(desk.stack(), other);
    assert!(desk.harness.get_by_label("Again").accesskit_node().is_disabled());
}

#[test]
fn the_worst_cells_are_revised_one_by_one() {
    for mut desk in [Desk::large(), contextual()] {
        desk.click("Surprise");
        let opened = desk.stack();
        let bits = desk.state().document.as_ref().unwrap().surprise.as_ref().unwrap().bits_per_cell();
        let worst = (0..64).max_by(|&a, &b| bits[a].total_cmp(&bits[b])).unwrap();
        desk.click("Revise");
        desk.enter("Worst cells", 1.0);
        desk.click("Revise worst");
        let places = changed(&opened, &desk.stack());
        assert!(places.iter().all(|&(row, col, _)| row * 8 + col == worst), "{places:?}");
        desk.enter("Worst cells", 3.0);
        desk.click("Revise worst");
        let edits = std::iter::from_fn(|| {
            let undone = desk.state().document.as_ref()?.undoable().is_some();
            desk.click("Undo");
            undone.then_some(())
        });
        let count = edits.take(9).count();
        assert!((1..=4).contains(&count), "{count} edits: a cell may get its own codes again");
    }
}

#[test]
fn the_worst_cell_is_revised_by_a_click_and_the_map_cools_down() {
    for mut desk in [Desk::large(), contextual()] {
        desk.click("Surprise");
        desk.click("Revise");
        // The likeliest codes, so that this does not depend on luck.
        desk.enter("Temperature at all depths", 0.0);
        let opened = desk.stack();
        let (worst, bits) = desk.state().known_surprise().and_then(|surprise| surprise.worst()).unwrap();
        let cell = format!("row {}, column {}", worst / 8, worst % 8);
        let [said, scale] = [format!("Worst: {cell}, {bits:.1} bits"), format!("{bits:.1} bits")];
        assert!(desk.shows(&said) && desk.shows(&scale), "{said}");
        desk.click(&cell);
        let places = changed(&opened, &desk.stack());
        assert!(!places.is_empty() && places.iter().all(|&(row, col, _)| row * 8 + col == worst));
        let after = desk.state().known_surprise().expect("measured again").bits_per_cell();
        assert!(after[worst] < bits, "{cell}: {bits} bits became {}", after[worst]);
        assert!(!desk.shows(&said), "another cell is the worst now, or the same one is less bad");
        desk.click("Undo");
        assert!(desk.shows(&said));
    }
}

#[test]
fn another_model_measures_its_own_surprise() {
    let mut desk = contextual();
    desk.click("Surprise");
    let before = desk.state().known_surprise().expect("measured").clone();
    desk.harness.state_mut().state.load(SMALL, None);
    desk.settle();
    let after = desk.state().known_surprise().expect("measured again");
    assert_eq!(after.stack, before.stack);
    assert_ne!(after.chosen, before.chosen);
}

/// The surprise of a contextual model at a cell is that given all others.
#[test]
fn a_contextual_model_explains_and_samples() {
    let mut desk = contextual();
    desk.click("row 3, column 4");
    desk.click("Surprise");
    let state = desk.state();
    let (place, explained) = state.found.explained.clone().expect("a cell is pinned");
    assert_eq!(place, [3, 4, 3]);
    let surprise = state.document.as_ref().unwrap().surprise.clone().unwrap();
    let there = &surprise.chosen[(3 * 8 + 4) * 4 + 3];
    assert_eq!(there.code, explained.chosen.code);
    assert!((there.probability - explained.chosen.probability).abs() < 1e-5);
    desk.harness.state_mut().state.settings.count = 2;
    desk.click("Generate (Ctrl+Enter)");
    let items = &desk.state().gallery.items;
    assert_eq!(items.len(), 2);
    let recipe = items[0].recipe.as_ref().unwrap().sampling.clone().unwrap();
    let schedule = recipe.schedule.expect("a contextual model drafts and revises");
    assert_eq!((schedule.draft, schedule.revise), (16, Rounds::default()));
}

#[test]
fn the_first_steps_lead_to_a_revision_and_back() {
    let mut desk = Desk::first();
    let opened = desk.stack();
    desk.harness.get_by_label_contains("Choose Revise, and paint over a part of it.");
    desk.click("Revise");
    desk.harness.get_by_label_contains("Paint over a part of the picture, and let go");
    desk.paint([3, 2], [3, 5]);
    desk.harness.get_by_label_contains("Now press Undo.");
    let places = changed(&opened, &desk.stack());
    assert!(places.iter().all(|&(row, col, _)| row == 3 && (2..=5).contains(&col)), "{places:?}");
    desk.click("Undo");
    assert_eq!(desk.stack(), opened);
    assert!(!desk.state().settings.hint);
    assert!(!desk.shows("First steps"));
}
