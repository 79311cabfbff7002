//! Sampling new images, as a user does.

use eframe::egui::{Key, Vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use residua::app::Start;
use residua_core::codes::CodeStack;
use residua_protocol::Condition;

use crate::desk::{Desk, SMALL_RQVAE};
use crate::named::CLASSES;
use crate::sampled::{CLASS, made, sample};

const GENERATE: &str = "Generate (Ctrl+Enter)";

/// The codes of the session's images.
fn stacks(desk: &Desk) -> Vec<CodeStack> {
    let items = desk.state().gallery.items.iter();
    items.map(|item| (**item.stack.as_ref().expect("sampled")).clone()).collect()
}

/// A studio set to sample `count` images of the class with `seed`.
fn set(seed: u64, count: usize) -> Desk {
    let mut desk = Desk::new();
    desk.enter("Class number", CLASS.into());
    desk.enter("Seed", seed as f64);
    desk.enter("Pictures", count as f64);
    desk
}

#[test]
fn the_displayed_seed_gives_the_same_codes_as_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = set(77, 2);
    assert!(!desk.state().settings.seed_locked);
    desk.click(GENERATE);
    let expected = sample(folder.path(), 77, 2, &[]);
    assert_eq!(stacks(&desk), expected);
    assert_ne!(desk.state().settings.seed, 77, "an unlocked seed changes after sampling");
    assert!(desk.state().log.notice.is_none());

    desk.enter("Seed", 77.0);
    desk.click("Lock");
    desk.harness.key_press_modifiers(eframe::egui::Modifiers::COMMAND, Key::Enter);
    desk.settle();
    assert_eq!(stacks(&desk)[2..], expected);
    assert_eq!(desk.state().settings.seed, 77);
    desk.click("Random");
    assert_ne!(desk.state().settings.seed, 77);
}

/// The default model takes captions, and begins with one.
#[test]
fn the_first_picture_needs_no_typing() {
    const CAPTION: &str = "a blue cat with a red scarf";
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::first();
    assert_eq!(desk.harness.get_by_label("Caption").value().as_deref(), Some(CAPTION));
    assert!(desk.shows("7 of 32 tokens"));
    desk.enter("Pictures", 2.0);
    desk.click(GENERATE);
    assert_eq!(stacks(&desk), made(folder.path(), 2, &["sample", "-n", "2", "--prompt", CAPTION]));
    let (first, document) = (&desk.state().gallery.items[0], desk.state().document.as_ref().unwrap());
    assert_eq!((first.picture.width(), first.picture.height()), (128, 128));
    assert_eq!(document.condition, Condition::Unconditional, "the caption is not the open image's");
    assert!(desk.state().log.notice.is_none());

    desk.click("Words that this model knows");
    desk.harness.get_by_label("glasses").scroll_to_me();
    desk.settle();
    desk.click("glasses");
    assert_eq!(desk.state().condition, Condition::Prompt(format!("{CAPTION} glasses")));
}

#[test]
fn each_depth_has_its_own_filters_until_reset_to_the_published_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = set(5, 1);
    let published = desk.state().filters().draft;
    desk.enter("Temperature at all depths", 0.7);
    assert!(desk.state().filters().draft.iter().all(|filter| filter.temperature == 0.7));
    desk.click("Each depth separately");
    desk.enter("Temperature at depth 2", 1.5);
    desk.enter("Top-k at depth 3", 3.0);
    desk.enter("Top-p at depth 4", 0.5);
    desk.click(GENERATE);
    let p = published[0].top_p;
    let arguments = [
        "--temperature=0.7,1.5,0.7,0.7".to_string(),
        format!("--top-k={0},{0},3,{0}", published[0].top_k),
        format!("--top-p={p},{p},{p},0.5"),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    assert_eq!(stacks(&desk), sample(folder.path(), 5, 1, &arguments));
    desk.click("Published settings");
    assert_eq!(desk.state().filters().draft, published);
    assert!(desk.harness.query_by_label("Temperature at depth 2").is_none());
}

#[test]
fn cancelling_keeps_finished_images() {
    let mut desk = set(3, 400);
    desk.begin(GENERATE);
    while desk.state().gallery.items.is_empty() {
        assert!(desk.harness.state_mut().state.wait());
    }
    desk.harness.key_press(Key::Escape);
    desk.settle();
    let kept = stacks(&desk);
    assert!((8..400).contains(&kept.len()) && kept.len().is_multiple_of(8), "{}", kept.len());
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(kept[..8], sample(folder.path(), 3, 8, &[]));
    assert!(desk.state().log.lines().any(|line| line.text == "sampling was stopped"));
}

#[test]
fn previews_are_shown_unless_turned_off() {
    let mut desk = set(3, 8);
    for expected in [true, false] {
        desk.begin(GENERATE);
        let mut shown = false;
        while desk.state().is_busy() && desk.harness.state_mut().state.wait() {
            desk.harness.run();
            shown |= desk.harness.query_by_label("Preview 2").is_some();
        }
        assert_eq!(shown, expected);
        assert!(desk.harness.query_by_label("Preview 2").is_none());
        assert!(desk.harness.query_by_label("Stop sampling").is_none());
        desk.click("Show previews");
    }
    assert_eq!(stacks(&desk).len(), 16);
}

#[test]
fn a_completion_keeps_the_kept_codes_and_variations_differ() {
    let mut desk = set(9, 2);
    let kept = desk.state().document.as_ref().unwrap().stack().codes()[..3 * 8 * 4].to_vec();
    let slider = desk.harness.get_all_by_label("Rows kept").next().unwrap();
    slider.set_value_accesskit(3.0);
    desk.harness.run();
    desk.click("Complete below");
    desk.click("Lock");
    desk.click("Variations");
    desk.click("Variations");
    let made = stacks(&desk);
    assert_eq!(made.len(), 6);
    assert!(made.iter().all(|stack| stack.codes()[..kept.len()] == kept));
    let differ = |a: usize, b: usize| made[a].codes() != made[b].codes();
    assert!((0..6).all(|a| (0..a).all(|b| differ(a, b))));
    // The open image keeps its own class. The condition in the settings above can be applied to it.
    let classes = |desk: &Desk| {
        let state = desk.state();
        state.condition == state.document.as_ref().unwrap().condition
    };
    assert!(!classes(&desk));
    desk.click("Apply the condition above");
    assert!(classes(&desk));
}

#[test]
fn selected_cells_are_completed() {
    let mut desk = set(9, 1);
    let disabled =
        |desk: &Desk| desk.harness.get_by_label("Complete selected").accesskit_node().is_disabled();
    assert!(disabled(&desk));
    let document = desk.harness.state_mut().state.document.as_mut().unwrap();
    document.selected[10] = true;
    let open = document.stack().clone();
    desk.harness.run();
    assert!(!disabled(&desk));
    desk.click("Complete selected");
    let changed = open.diff(&stacks(&desk)[0]).unwrap();
    assert!(changed.iter().all(|&(row, col, _)| (row, col) == (1, 2)), "{changed:?}");
}

#[test]
fn named_classes_are_searched_and_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_names();
    let (wanted, other) = (CLASSES[CLASS as usize], CLASSES[1]);
    assert!(desk.shows(wanted) && desk.shows(other));
    desk.harness.get_by_label("Search classes").focus();
    desk.harness.get_by_label("Search classes").type_text("drink");
    desk.harness.run();
    assert!(!desk.shows(other));
    desk.click(wanted);
    assert_eq!(desk.state().condition, Condition::Class(wanted.into()));
    desk.enter("Seed", 5.0);
    desk.enter("Pictures", 1.0);
    desk.click(GENERATE);
    assert_eq!(stacks(&desk), sample(folder.path(), 5, 1, &[]), "the same class by its number");
}

#[test]
fn a_missing_transformer_is_reported() {
    let start = Start { model: Some(SMALL_RQVAE.into()), ..Start::default() };
    let desk = Desk::with(start, Vec2::new(1280.0, 800.0));
    assert!(desk.harness.query_by_label_contains("has no RQ-Transformer").is_some());
    assert!(desk.harness.get_by_label(GENERATE).accesskit_node().is_disabled());
}
