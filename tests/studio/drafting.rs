//! The filters of a contextual model: those of the draft, and those of the revisions.

use eframe::App;
use eframe::egui::{Context, Key};
use egui_kittest::kittest::Queryable;
use residua::app::filters::Filters;
use residua::app::{Start, Studio};
use residua_core::sampling::Filter;

use crate::captions::{by_command, captioned};
use crate::desk::{Desk, SMALL, small};
use crate::first_steps::Memory;

const SWITCH: &str = "Revise separately";

/// Turns the switch by the keyboard.
fn turn(desk: &mut Desk) {
    desk.harness.get_by_label(SWITCH).focus();
    desk.harness.run();
    desk.harness.key_press(Key::Space);
    desk.settle();
}

fn filters(desk: &Desk) -> Filters {
    desk.state().filters()
}

/// They are sent to the models, which sample what the command line does with its options for each.
#[test]
fn drafts_and_revisions_have_filters_of_their_own() {
    assert!(!Desk::new().shows(SWITCH), "an autoregressive model does not revise");
    let (folder, mut desk) = captioned();
    desk.type_into("Caption", "a red cat");
    desk.enter("Seed", 5.0);
    desk.enter("Pictures", 1.0);
    desk.enter("Temperature at all depths", 1.5);
    assert!(!desk.shows("Temperature of revisions at all depths"));
    turn(&mut desk);
    assert_eq!(
        filters(&desk).revise,
        Some(filters(&desk).draft),
        "at first the revisions are like the draft"
    );
    for (name, value) in [("Temperature", 0.5), ("Top-k", 9.0), ("Top-p", 0.75), ("Guidance", 3.0)] {
        desk.enter(&format!("{name} of revisions at all depths"), value);
    }
    desk.click("Generate (Ctrl+Enter)");
    let item = &desk.state().gallery.items[0];
    let sampling = item.recipe.as_ref().unwrap().sampling.clone().unwrap();
    let revising = Filter { temperature: 0.5, top_k: 9, top_p: 0.75, guidance: 3.0 };
    assert!(sampling.filters.iter().all(|filter| filter.temperature == 1.5 && filter.guidance == 1.0));
    assert_eq!(sampling.schedule.unwrap().filters, [revising; 4]);
    let wish = ["sample", "--prompt", "a red cat", "--seed", "5", "--temperature", "1.5"];
    let options =
        ["temperature=0.5", "top-k=9", "top-p=0.75", "guidance=3"].map(|option| format!("--revise-{option}"));
    let options = options.each_ref().map(String::as_str);
    let sampled = (**item.stack.as_ref().unwrap()).clone();
    assert_eq!(sampled, by_command(&folder, "apart", &[&wish[..], &options[..]].concat()));
    assert_ne!(sampled, by_command(&folder, "alike", &wish));

    // A recipe brings them back.
    let recipe = item.recipe.clone().unwrap();
    let set = filters(&desk);
    turn(&mut desk);
    assert_eq!(filters(&desk).revise, None);
    desk.harness.state_mut().state.restore(&recipe);
    assert_eq!(filters(&desk), set);
}

#[test]
fn they_are_set_for_each_depth_kept_and_reset() {
    let (_folder, mut desk) = captioned();
    let published = filters(&desk);
    turn(&mut desk);
    desk.click("Each depth separately");
    desk.enter("Temperature of revisions at depth 2", 0.25);
    desk.enter("Top-k at depth 3", 7.0);
    let set = filters(&desk);
    let mut expected = Filters { revise: Some(published.draft.clone()), ..published.clone() };
    expected.draft[2].top_k = 7;
    expected.revise.as_mut().unwrap()[1].temperature = 0.25;
    assert_eq!(set, expected);

    let mut memory = Memory::default();
    desk.harness.state_mut().save(&mut memory);
    let again = |start| {
        let engine = residua_engine::studio::start(residua_kernels::device::cpu(), || ());
        let mut state = Studio::new(&Context::default(), engine, "cpu", start, Some(&memory)).state;
        while state.is_busy() && state.wait() {}
        state.filters()
    };
    assert_eq!(again(Start::default()), set);
    let other = again(small());
    assert_eq!((other.model.as_str(), other.revise), (SMALL, None), "they are for their model only");

    desk.click("Published settings");
    assert_eq!(filters(&desk), published);
    assert!(!desk.shows("Temperature of revisions at all depths"));
}
