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
