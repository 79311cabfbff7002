//! The panel "Picture": what the canvas shows of a picture and its codes, and the part of it that is encoded.

use std::sync::Arc;

use eframe::egui::accesskit::Role;
use eframe::egui::{Event, Modifiers, MouseWheelSource, MouseWheelUnit, Pos2, TouchPhase, Vec2};
use egui_kittest::kittest::Queryable;
use residua::app::Start;
use residua::app::document::Document;
use residua::app::panels::picture::View;
use residua_io::image_io::Picture;
use residua_io::image_io::framing::{Framing, Square};

use crate::desk::Desk;

/// A non-square image in which no two pixels are alike.
fn wide() -> Arc<Picture> {
    let data = (0..3 * 120 * 80).map(|i| (i as f32 * 0.37).sin()).collect();
    Arc::new(Picture::from_rgb8(&Picture::new(120, 80, data).unwrap().to_rgb8()))
}

/// A desk with that image open.
fn with_wide() -> Desk {
    let mut desk = Desk::new();
    desk.harness.state_mut().state.open_picture("wide", wide());
    desk.settle();
    desk
}

fn document(desk: &Desk) -> &Document {
    desk.harness.state().state.document.as_ref().expect("an image is open")
}

fn drag(desk: &mut Desk, from: Pos2, to: Pos2) {
    desk.harness.drag_at(from);
    desk.harness.run();
    desk.harness.hover_at(from + (to - from) * 0.5);
    desk.harness.run();
    desk.harness.drop_at(to);
    desk.harness.run();
}

/// Asserts that the document encodes `expected`, which is computed independently.
fn expect_encoded(desk: &Desk, framing: Framing, expected: &Picture) {
    let document = document(desk);
    assert_eq!(document.source.as_ref().map(|source| source.framing), Some(framing));
    assert_eq!(**document.original.as_ref().expect("an image was opened"), *expected);
    assert_eq!(document.seen.as_ref().expect("the image is decoded").stack, *document.stack());
}

#[test]
fn one_canvas_shows_original_and_reconstruction_with_their_quality() {
    let mut desk = Desk::new();
    let found = desk.harness.get_by_label("Reconstruction picture").rect();
    assert!(found.width() > 300.0 && (found.width() - found.height()).abs() < 0.5, "{found}");
    let seen = document(&desk).seen.as_ref().unwrap();
    let ((psnr, ssim), rate) = (seen.quality.unwrap(), seen.bits_per_pixel);
    let line = format!("PSNR {psnr:.2} dB, SSIM {ssim:.3}, {rate:.3} bits/pixel");
    desk.harness.get_by_label(&line);
    desk.click("Original");
    assert_eq!(desk.harness.get_by_label("Original picture").rect(), found, "in the same place");
    assert!(!desk.shows("Reconstruction picture"));
}

#[test]
fn residuals_and_surprise_are_maps_with_a_scale() {
    let mut desk = Desk::new();
    desk.click("Residual");
    let norms = &document(&desk).layers.as_ref().unwrap().residual_norms;
    let most = norms.iter().copied().fold(0.0, f32::max);
    desk.harness.get_by_label("Residual norm, as a share of the original: 0");
    desk.harness.get_by_label(&format!("{most:.1}"));
    assert!(document(&desk).surprise.is_none(), "nothing is measured that nobody looks at");
    desk.click("Surprise");
    let surprise = document(&desk).surprise.clone().expect("it is measured at once");
    let most = surprise.bits_per_cell().into_iter().fold(0.0, f32::max);
    desk.harness.get_by_label(&format!("{most:.1} bits"));
    desk.harness.state_mut().state.edit(|document| document.set_code([2, 5], 1, 9));
    desk.settle();
    assert_eq!(
        document(&desk).surprise.as_ref().unwrap().stack,
        *document(&desk).stack(),
        "and after each edit"
    );
}

/// The point under the pointer stays there.
#[test]
fn the_wheel_zooms_about_the_pointer_and_a_drag_pans() {
    // Its picture is larger than the panel at 4:1.
    let mut desk = Desk::first();
    let fitted = desk.harness.get_by_label("Reconstruction picture").rect();
    desk.click("4:1");
    let before = desk.harness.get_by_label("Reconstruction picture").rect();
    let at = before.lerp_inside(Vec2::splat(0.5));
    desk.harness.hover_at(at);
    desk.harness.run();
    for _ in 0..6 {
        desk.harness.event(Event::MouseWheel {
            unit: MouseWheelUnit::Point,
            source: MouseWheelSource::Wheel,
            delta: Vec2::new(0.0, 60.0),
            phase: TouchPhase::Move,
            modifiers: Modifiers::NONE,
        });
        desk.harness.run();
    }
    let after = desk.harness.get_by_label("Reconstruction picture").rect();
    assert!(after.width() > 1.5 * before.width(), "{before} became {after}");
    drag(&mut desk, at, at + Vec2::new(-40.0, 30.0));
    let moved = desk.harness.get_by_label("Reconstruction picture").rect().min - after.min;
    assert!(moved.x < -15.0 && moved.y > 10.0, "{moved:?}");
    desk.click("Fit");
    assert_eq!(desk.harness.get_by_label("Reconstruction picture").rect(), fitted);
}

#[test]
fn fewer_codes_have_their_own_metrics() {
    let mut desk = Desk::new();
    desk.harness.state_mut().state.choose_depth(1);
    desk.settle();
    let (rate, psnr) = document(&desk).layers.as_ref().unwrap().rate_distortion[1];
    desk.harness.get_by_label(&format!("Codes 1 to 2 of 4: PSNR {psnr:.2} dB, {rate:.3} bits/pixel"));
}

#[test]
fn the_wipe_follows_its_slider_and_the_pointer() {
    let mut desk = Desk::new();
    desk.click("Overlay");
    let wipe = |desk: &Desk| desk.harness.state().views.picture.wipe;
    assert_eq!(wipe(&desk), 0.5);
    let slider = desk.harness.get_by_role_and_label(Role::Slider, "Wipe");
    let place = slider.rect();
    slider.focus();
    desk.harness.run();
    desk.harness.key_press(eframe::egui::Key::ArrowRight);
    desk.harness.run();
    assert!(wipe(&desk) > 0.5, "{} at {place}", wipe(&desk));
    let picture = desk.harness.get_by_label("Original and reconstruction").rect();
    let at = |part: f32| picture.lerp_inside(Vec2::new(part, 0.5));
    drag(&mut desk, at(0.6), at(0.2));
    assert!((wipe(&desk) - 0.2).abs() < 0.01, "{}", wipe(&desk));
    desk.drag_at_once(&[vec![at(0.2), at(0.4), at(0.7)]]);
    assert!((wipe(&desk) - 0.7).abs() < 0.01, "{} after a drag within a frame", wipe(&desk));
    desk.harness.hover_at(at(0.3));
    desk.settle();
    assert!((wipe(&desk) - 0.7).abs() < 0.01, "{} after it was let go", wipe(&desk));
}

#[test]
fn each_map_has_a_wipe_that_uncovers_the_picture() {
    let mut desk = Desk::new();
    let cover = |desk: &Desk| desk.harness.state().views.picture.cover;
    for (view, percent) in [("Errors", 70.0), ("Residual", 40.0), ("Surprise", 10.0)] {
        let before = cover(&desk);
        desk.click(view);
        assert_eq!(cover(&desk), before, "all maps share it");
        desk.harness.get_by_role_and_label(Role::Slider, "Wipe").set_value_accesskit(percent);
        desk.settle();
        assert!((cover(&desk) - percent as f32 / 100.0).abs() < 1e-3, "{}", cover(&desk));
    }
    assert_eq!(desk.harness.state().views.picture.wipe, 0.5, "that of the original is apart");
    desk.click("Reconstruction");
    assert!(desk.harness.query_by_role_and_label(Role::Slider, "Wipe").is_none());
}

#[test]
fn errors_are_shown_as_a_map_with_a_scale() {
    let mut desk = Desk::new();
    desk.click("Errors");
    assert!(desk.harness.get_by_label("Errors of the reconstruction").rect().width() > 200.0);
    desk.harness.get_by_role_and_label(Role::Slider, "Brightest error");
    assert_eq!(desk.harness.state().views.picture.view, View::Errors);
    let map = |desk: &Desk| {
        let manager = desk.harness.ctx.tex_manager();
        let manager = manager.read();
        manager.allocated().filter(|(_, meta)| meta.name == "errors").map(|(id, _)| *id).collect::<Vec<_>>()
    };
    let first = map(&desk);
    desk.harness.step();
    assert_eq!(map(&desk), first, "the map is cached");
    desk.harness.state_mut().views.picture.brightest = 32;
    desk.harness.step();
    let second = map(&desk);
    assert!(second.len() == 1 && second != first, "another scale gives another map: {first:?}, {second:?}");
}

#[test]
fn the_image_can_be_zoomed() {
    let mut desk = Desk::new();
    desk.click("Overlay");
    for (zoom, side) in [("1:1", 32.0), ("4:1", 128.0)] {
        desk.click(zoom);
        let picture = desk.harness.get_by_label("Original and reconstruction").rect();
        assert_eq!(picture.size(), Vec2::splat(side));
    }
}

#[test]
fn a_crop_is_chosen_by_number() {
    let mut desk = with_wide();
    let picture = wide();
    expect_encoded(&desk, Framing::Middle, &picture.fit(32).unwrap());
    desk.click("Crop");
    desk.click("Custom square");
    let fields = [("Side", "64"), ("Left", "11"), ("Top", "7")];
    for (name, value) in fields {
        let field = desk.harness.get_by_role_and_label(Role::SpinButton, name);
        field.focus();
        desk.harness.run();
        desk.harness.key_press_modifiers(eframe::egui::Modifiers::COMMAND, eframe::egui::Key::A);
        desk.harness.get_by_role_and_label(Role::SpinButton, name).type_text(value);
        desk.harness.run();
        desk.harness.key_press(eframe::egui::Key::Enter);
        desk.harness.run();
    }
    desk.click("Encode this part");
    let square = Square { left: 11, top: 7, side: 64 };
    expect_encoded(&desk, Framing::Square(square), &picture.crop(11, 7, 64, 64).unwrap().fit(32).unwrap());
    desk.click("Middle square (as published)");
    desk.click("Encode this part");
    expect_encoded(&desk, Framing::Middle, &picture.fit(32).unwrap());
}

#[test]
fn a_crop_is_chosen_by_dragging() {
    let mut desk = with_wide();
    desk.click("Crop");
    let whole = desk.harness.get_by_label("Whole picture").rect();
    let scale = whole.width() / 120.0;
    // The centre square starts 20 pixels from the left.
    let grip = desk.harness.get_by_label("Corner of the square").rect().center();
    drag(&mut desk, grip, grip - Vec2::splat(30.0 * scale));
    let body = desk.harness.get_by_label("Square").rect();
    assert!((body.width() - 50.0 * scale).abs() < 1.5 * scale, "{body} in {whole}");
    drag(&mut desk, body.center(), body.center() + Vec2::new(-10.0, 20.0) * scale);
    desk.click("Encode this part");
    let Some(Framing::Square(square)) = document(&desk).source.as_ref().map(|source| source.framing) else {
        panic!("a square is encoded")
    };
    assert_eq!(square, Square { left: 10, top: 20, side: 50 });
    let expected = wide().crop(10, 20, 50, 50).unwrap().fit(32).unwrap();
    expect_encoded(&desk, Framing::Square(square), &expected);
}

/// A slow frame gets a whole drag at once, or several.
#[test]
fn a_crop_is_dragged_within_a_frame() {
    let mut desk = with_wide();
    desk.click("Crop");
    let scale = desk.harness.get_by_label("Whole picture").rect().width() / 120.0;
    let by = |from: Pos2, x: f32, y: f32| from + Vec2::new(x, y) * scale;
    let grip = desk.harness.get_by_label("Corner of the square").rect().center();
    desk.drag_at_once(&[vec![grip, by(grip, -10.0, -40.0), by(grip, -30.0, -30.0)]]);
    let body = desk.harness.get_by_label("Square").rect().center();
    // The second drag continues where the first one ends, and may be as short as a click.
    desk.drag_at_once(&[
        vec![body, by(body, 5.0, 0.0), by(body, -10.0, 20.0)],
        vec![body, by(body, 1.0, 0.0)],
    ]);
    desk.click("Encode this part");
    let square = Square { left: 11, top: 20, side: 50 };
    let expected = wide().crop(11, 20, 50, 50).unwrap().fit(32).unwrap();
    expect_encoded(&desk, Framing::Square(square), &expected);
}

#[test]
fn a_whole_image_is_squeezed() {
    let mut desk = with_wide();
    desk.click("Crop");
    desk.click("Whole picture squeezed to a square");
    desk.click("Encode this part");
    expect_encoded(&desk, Framing::Squeezed, &Framing::Squeezed.apply(&wide(), 32).unwrap());
}

/// An image longer than the maximum texture size is still shown.
#[test]
fn a_very_long_image_is_shown_whole() {
    let mut desk = Desk::new();
    let line = Picture::new(40_000, 2, vec![0.25; 3 * 80_000]).unwrap();
    desk.harness.state_mut().state.open_picture("line", Arc::new(line));
    desk.settle();
    desk.click("Crop");
    assert!(desk.harness.get_by_label("Whole picture").rect().width() > 200.0);
}

#[test]
fn codes_without_an_image_have_no_original() {
    let mut desk = Desk::new();
    let stack = document(&desk).stack().clone();
    desk.harness.state_mut().state.open_stack("codes", stack, None);
    desk.settle();
    desk.harness.get_by_label("Reconstruction picture");
    for view in ["Original", "Overlay", "Errors"] {
        desk.click(view);
        desk.harness.get_by_label_contains("There is no original");
    }
    desk.click("Crop");
    desk.harness.get_by_label_contains("There is no picture to crop");
}

#[test]
fn an_empty_panel_says_how_to_open_something() {
    let start = Start { file: Some("no-such.png".into()), ..Start::default() };
    let desk = Desk::with(start, Vec2::new(1280.0, 800.0));
    desk.harness
        .get_by_label("Open a picture to see its codes: drop it on the window, paste it, or press Ctrl+O.");
    desk.harness.get_by_label("Open picture…");
}
