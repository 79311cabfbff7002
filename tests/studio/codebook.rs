//! The panel "Codebook": which codes are used, and what they look like.

use std::collections::HashSet;
use std::sync::Arc;

use eframe::egui::Vec2;
use egui_kittest::kittest::{NodeT, Queryable};
use residua::app::Start;
use residua_protocol::Neighbours;

use crate::desk::{Desk, PICTURE};

fn desk() -> Desk {
    let start = Start { file: Some(PICTURE.into()), ..Start::default() };
    let mut desk = Desk::with(start, Vec2::new(1280.0, 800.0));
    // The overlay with first steps covers the corner of the panel.
    desk.click("Got it");
    desk.click("Codebook");
    desk
}

/// The neighbours of the code that is looked up.
fn browsed(desk: &Desk) -> Arc<Neighbours> {
    let browsed = desk.state().found.browsed.as_ref().expect("a code is chosen");
    browsed.neighbours.clone().expect("looked up")
}

/// The distinct codes of the open stack at `depth`.
fn used(desk: &Desk, depth: usize) -> HashSet<u32> {
    let stack = desk.state().document.as_ref().expect("open").stack().clone();
    stack.codes().iter().skip(depth).step_by(stack.depth()).copied().collect()
}

#[test]
fn session_usage_is_counted_by_depth() {
    let mut desk = desk();
    for depth in [0, 2] {
        if depth > 0 {
            desk.click(&format!("Codebook of depth {}", depth + 1));
        }
        let used = used(&desk, depth).len();
        let words = [
            format!("{used} of 1,024 codes"),
            format!("{} codes, {:.1} %", 1024 - used, (1024 - used) as f64 / 10.24),
            "1 picture".into(),
        ];
        words.iter().for_each(|words| assert!(desk.shows(words), "{words}"));
    }
}

#[test]
fn a_folder_is_counted_and_unreadable_files_are_reported() {
    let mut desk = desk();
    let folder = tempfile::tempdir().unwrap();
    ["a.png", "b.png"].iter().for_each(|name| {
        std::fs::copy(PICTURE, folder.path().join(name)).unwrap();
    });
    std::fs::write(folder.path().join("c.png"), b"no picture").unwrap();
    desk.harness.state_mut().state.count_folder(folder.path().into());
    desk.settle();
    assert!(desk.shows("2 pictures; 1 file could not be read"));
    assert!(desk.shows(&format!("{} of 1,024 codes", used(&desk, 0).len())), "same codes in both");
    desk.click("this session");
    assert!(desk.shows("1 picture"));
}

#[test]
fn codes_in_view_are_shown_and_dead_ones_marked() {
    let mut desk = desk();
    let used = used(&desk, 0);
    let words = |code: u32| if used.contains(&code) { "use" } else { "dead" };
    for code in 0..4 {
        let name = format!("Code {code} of depth 1, ");
        let node = desk.harness.get_by_label_contains(&name);
        let label = node.accesskit_node().label().expect("named");
        assert!(label.contains(words(code)), "{label}");
        assert!(desk.state().patch(0, code).is_some(), "code {code} is shown");
    }
    assert!(desk.state().patch(0, 1023).is_none(), "codes out of view are not requested");
    assert!(desk.harness.query_by_label_contains("Code 1023 of depth 1").is_none());
    desk.click("Most used first");
    let stack = desk.state().document.as_ref().unwrap().stack().clone();
    let count = |code: u32| stack.codes().iter().step_by(4).filter(|&&other| other == code).count();
    let most = (0..1024).max_by_key(|&code| (count(code), std::cmp::Reverse(code))).unwrap();
    let uses = count(most);
    let name = format!("Code {most} of depth 1, {uses} use{}", if uses == 1 { "" } else { "s" });
    assert!(desk.shows(&name), "{name}");
    assert!(desk.state().patch(0, most).is_some());
}

#[test]
fn a_codes_neighbours_are_shown_next_to_it() {
    let mut desk = desk();
    desk.harness.state_mut().state.pin(Some([0, 0]));
    desk.settle();
    let pinned = desk.state().found.neighbours.clone().expect("neighbours of the pinned code");
    desk.harness.get_by_label_contains("Code 3 of depth 1").click();
    desk.settle();
    let found = browsed(&desk);
    assert_eq!((found.code, found.depth, found.nearest.len()), (3, 0, 8));
    for (code, distance) in &found.nearest {
        assert!(desk.shows(&format!("Neighbour {code}")));
        assert!(desk.shows(&format!("distance {distance:.3}")));
        assert!(desk.state().patch(0, *code).is_some());
    }
    assert_eq!(
        desk.state().found.neighbours.as_ref().unwrap().code,
        pinned.code,
        "the code stack keeps its own"
    );
    let (next, back) = (found.nearest[0].0, found.nearest[0].1);
    desk.click(&format!("Neighbour {next}"));
    let found = browsed(&desk);
    let distance = found.nearest.iter().find(|(code, _)| *code == 3).map(|(_, distance)| *distance);
    assert!(found.code == next && distance.is_none_or(|distance| (distance - back).abs() < 1e-5));
}
