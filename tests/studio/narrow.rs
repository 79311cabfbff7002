//! A window as narrow as a phone, and the smallest and largest ones of a desktop.

use eframe::egui::{Rect, Vec2};
use egui_kittest::kittest::Queryable;
use residua::app::Start;

use crate::desk::Desk;

fn rect(desk: &Desk, name: &str) -> Rect {
    desk.harness.get_by_label(name).rect()
}

#[test]
fn on_a_phone_the_picture_is_above_its_codes() {
    let size = Vec2::new(390.0, 844.0);
    let mut desk = Desk::with(Start::default(), size);
    desk.click("Got it");
    let picture = rect(&desk, "Reconstruction picture");
    assert!(picture.width() > 240.0 && picture.right() <= size.x, "{picture}");
    for name in ["Open picture…", "Save picture…", "Revise", "Undo", "Surprise", "show depth 4"] {
        let rect = rect(&desk, name);
        assert!(rect.left() >= 0.0 && rect.right() <= size.x, "{name} at {rect}");
    }
    desk.click("row 3, column 4");
    let code = desk.state().document.as_ref().unwrap().stack().at(3, 4, 0).unwrap();
    let below = rect(&desk, &format!("depth 1: code {code}"));
    assert!(below.top() > picture.bottom() && below.bottom() < size.y, "{below}");
    desk.click("Revise");
    for name in ["Again", "Load mask…", "Another caption", "Revise worst"] {
        let rect = rect(&desk, name);
        assert!(rect.left() >= 0.0 && rect.right() <= size.x, "{name} at {rect}");
    }
    desk.click("Generate");
    desk.harness.get_by_label("Generate (Ctrl+Enter)");
}

#[test]
fn the_picture_is_the_largest_thing_at_every_size() {
    for (size, least) in [([1024.0, 640.0], 230.0), ([1280.0, 800.0], 340.0), ([3840.0, 2160.0], 1100.0)] {
        let desk = Desk::with(Start::default(), size.into());
        let picture = rect(&desk, "Reconstruction picture");
        assert!(picture.width() >= least, "{size:?}: {picture}");
        let save = rect(&desk, "Save picture…");
        assert!(save.bottom() < picture.top(), "{size:?}: {save}");
    }
}

#[test]
fn the_other_panels_fold_away_and_come_back() {
    let mut desk = Desk::new();
    desk.click("Models");
    let before = rect(&desk, "Reconstruction picture");
    desk.click("View");
    desk.click("Only the picture");
    let alone = rect(&desk, "Reconstruction picture");
    assert!(alone.width() > 1.3 * before.width(), "{before} became {alone}");
    assert!(!desk.shows("Show a folder…") && !desk.shows("Generate"));
    desk.click("View");
    desk.click("Only the picture");
    assert_eq!(rect(&desk, "Reconstruction picture"), before);
    assert!(!desk.shows("Generate (Ctrl+Enter)"), "the panel Models is still in front");
    desk.click("View");
    desk.click("Only the picture");
    desk.click("View");
    desk.click("Generate");
    desk.harness.get_by_label("Generate (Ctrl+Enter)");
    assert_eq!(rect(&desk, "Reconstruction picture"), before);
}
