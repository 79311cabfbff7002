//! The panel "Explain" matches the model's own predictions.

use egui_kittest::kittest::Queryable;
use residua_core::codes::CodeStack;
use residua_core::config::{Precision, StateKind};
use residua_core::task::Task;
use residua_engine::Stage2;
use residua_engine::explain::{Explanation, explain};
use residua_protocol::{Condition, Options};

use crate::desk::{Desk, SMALL};

const CELL: [usize; 2] = [3, 4];

fn desk() -> Desk {
    let mut desk = Desk::new();
    // The overlay with first steps covers the corner of the panel.
    desk.click("Got it");
    desk.click("Explain");
    desk
}

/// A desk with a cell pinned, at the second depth.
fn pinned() -> Desk {
    let mut desk = desk();
    desk.harness.state_mut().state.pin(Some(CELL));
    desk.settle();
    desk.click("Explain depth 2");
    desk
}

/// The transformer, without a studio.
fn transformer() -> Stage2 {
    let options =
        Options { model: SMALL.into(), rqvae: None, state: StateKind::Auto, precision: Precision::Stored };
    Stage2::load(&options, &residua_kernels::device::cpu(), &mut Task::unwatched()).expect("a fixture")
}

/// The transformer's prediction at `place`, for an image of `class`.
fn expected(stage2: &Stage2, stack: &CodeStack, class: &str, place: [usize; 3]) -> Explanation {
    let tokens = Condition::Class(class.into()).tokens(&stage2.model.config).expect("a class");
    pollster::block_on(explain(&stage2.model, stack, &tokens, place, 8)).expect("fits")
}

/// `probability` in percent, rounded down to tenths: the start of the panel's text.
fn begins(probability: f32) -> String {
    let text = format!("{:.4}", 100.0 * probability);
    text[..3].into()
}

/// Asserts that the most likely codes of `explanation` are listed in order with their probabilities.
fn lists(desk: &Desk, explanation: &Explanation) {
    for (rank, suggestion) in explanation.suggestions.iter().enumerate() {
        let name = format!("{}. code {}", rank + 1, suggestion.code);
        assert!(desk.shows(&name), "{name}");
    }
    let most = begins(explanation.suggestions[0].probability);
    assert!(desk.harness.query_all_by_label_contains(&most).next().is_some(), "{most}");
}

#[test]
fn the_distribution_matches_the_transformers() {
    let mut desk = desk();
    assert!(desk.shows("Click a cell of the picture to see what the transformer would put there."));
    desk.harness.state_mut().state.pin(Some(CELL));
    desk.settle();
    desk.click("Explain depth 2");
    let stage2 = transformer();
    let found = expected(&stage2, &desk.stack(), "0", [CELL[0], CELL[1], 1]);
    lists(&desk, &found);
    let entropy = format!("Entropy: {:.2} bits of at most 6.00.", found.entropy);
    assert!(desk.shows(&entropy), "{entropy}");
    let rank = format!("rank {} of 64.", found.rank + 1);
    assert!(desk.harness.query_by_label_contains(&rank).is_some(), "{rank}");
    assert!(desk.shows("chosen"), "the chosen code is labelled");
    assert!(desk.state().found.choices.get(found.suggestions[0].code).is_some(), "code previews exist");
}

#[test]
fn a_suggestion_can_be_put_into_the_stack() {
    let mut desk = pinned();
    let before = desk.stack();
    let (_, explanation) = desk.state().found.explained.clone().expect("explained");
    let place = explanation.suggestions.iter().position(|s| s.code != explanation.chosen.code).unwrap();
    let code = explanation.suggestions[place].code;
    desk.click(&format!("Use suggestion {}: code {code}", place + 1));
    assert_eq!(before.diff(&desk.stack()).unwrap(), [(CELL[0], CELL[1], 1)]);
    assert_eq!(desk.stack().at(CELL[0], CELL[1], 1).unwrap(), code);
    let document = desk.state().document.as_ref().unwrap();
    assert_eq!(document.seen.as_ref().unwrap().stack, *document.stack(), "the image is updated");
    let (_, explanation) = desk.state().found.explained.as_ref().expect("explained again");
    assert_eq!((explanation.chosen.code, explanation.rank), (code, place));
}

#[test]
fn the_class_changes_the_distribution() {
    let mut desk = pinned();
    let stage2 = transformer();
    let place = [CELL[0], CELL[1], 1];
    desk.begin("Explain as");
    desk.click("Explain as 2");
    let found = expected(&stage2, &desk.stack(), "2", place);
    let before = expected(&stage2, &desk.stack(), "0", place);
    assert_ne!(found.suggestions, before.suggestions);
    lists(&desk, &found);
    assert_eq!(desk.state().document.as_ref().unwrap().condition, Condition::Class("2".into()));
}

#[test]
fn the_map_shows_where_the_model_was_unsure() {
    let mut desk = desk();
    desk.click("Where was the model unsure?");
    let surprise = desk.state().document.as_ref().unwrap().surprise.clone().expect("asked");
    let (stage2, codes) = (transformer(), desk.stack());
    for [row, col, depth] in [[0, 0, 0], [3, 4, 1], [7, 7, 3]] {
        let found = expected(&stage2, &codes, "0", [row, col, depth]);
        let place = (row * 8 + col) * 4 + depth;
        assert!((surprise.entropy[place] - found.entropy).abs() < 1e-3);
        assert!((surprise.chosen[place].probability - found.chosen.probability).abs() < 1e-4);
    }
    let bits = -surprise.chosen.iter().map(|chosen| chosen.probability.log2()).sum::<f32>();
    // 8x8x4 codes of 6 bits for 32x32 pixels.
    for words in [format!("{:.3} bits per pixel", bits / 1024.0), "1,536 bits, 1.500 bits per pixel".into()] {
        assert!(desk.harness.query_by_label_contains(&words).is_some(), "{words}");
    }
    let mean: f32 = surprise.entropy.iter().skip(2).step_by(4).sum::<f32>() / 64.0;
    let map = format!("Map of entropy at depth 3, {mean:.2} bits on average");
    desk.harness.get_by_label(&map).scroll_to_me();
    desk.harness.run();
    desk.click(&map);
    let document = desk.state().document.as_ref().unwrap();
    assert_eq!((document.pinned, document.depth), (Some([4, 4]), 2), "the middle of the map");
    let other = (codes.at(0, 0, 0).unwrap() + 1) % 64;
    desk.harness.state_mut().state.edit(|document| document.set_code([0, 0], 0, other));
    desk.settle();
    assert!(desk.shows("The codes have changed since: ask again."));
    desk.harness.state_mut().state.step_history(true);
    desk.settle();
    assert!(!desk.shows("The codes have changed since: ask again."), "undo brings the map back");
}
