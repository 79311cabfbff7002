//! A mask selects the cells to revise, as on the command line.

use std::path::Path;
use std::sync::Arc;

use egui_kittest::kittest::Queryable;
use image::{Rgb, RgbImage};
use residua::app::choose::{Wanted, take};
use residua_io::image_io::Picture;
use residua_io::image_io::framing::{Framing, Square};

use crate::desk::{Desk, PICTURE, SMALL};
use crate::sampled::made;

/// Writes a mask that is white where `is_white` says.
fn mask(path: &Path, width: u32, height: u32, is_white: impl Fn(u32, u32) -> bool) {
    let mask = RgbImage::from_fn(width, height, |x, y| Rgb([if is_white(x, y) { 255 } else { 0 }; 3]));
    mask.save(path).unwrap();
}

/// Chooses the file, as if in the dialog that the button opens.
fn load(desk: &mut Desk, path: &Path) {
    desk.click("Revise");
    desk.harness.get_by_label("Load mask…");
    take(&mut desk.harness.state_mut().state, Wanted::Mask, path);
    desk.settle();
}

#[test]
fn the_cells_under_a_mask_are_revised_as_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.png");
    // Rows 2 and 3, columns 1 to 4, in a mask that is larger than the picture.
    mask(&path, 160, 160, |x, y| (40..80).contains(&y) && (20..100).contains(&x));
    let mut desk = Desk::large();
    desk.enter("Seed", 5.0);
    load(&mut desk, &path);
    let expected: Vec<[usize; 2]> = (2..4).flat_map(|row| (1..5).map(move |col| [row, col])).collect();
    assert_eq!(desk.selected(), expected);
    let arguments = ["complete", PICTURE, "--mask", path.to_str().unwrap()];
    // A picture without a recipe is of the first class in the studio.
    let wish = ["--model", SMALL, "--class", "0", "--seed", "5"];
    let completed = made(&folder.path().join("made"), 1, &[&arguments[..], &wish[..]].concat());
    let document = desk.state().document.as_ref().unwrap();
    assert_eq!(**document.stack(), completed[0]);
    assert_ne!(document.stack(), document.opened());
    desk.click("Again");
    assert_ne!(**desk.state().document.as_ref().unwrap().stack(), completed[0]);
    desk.click("Undo");
    desk.click("Undo");
    let document = desk.state().document.as_ref().unwrap();
    assert_eq!(document.stack(), document.opened());
}

/// A mask painted over a picture of which a part is open selects cells of that part.
#[test]
fn a_mask_is_cut_like_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.png");
    mask(&path, 120, 80, |x, _| x >= 80);
    let mut desk = Desk::large();
    let wide = Picture::new(120, 80, (0..3 * 9600).map(|i| (i as f32 * 0.37).sin()).collect()).unwrap();
    desk.harness.state_mut().state.open_picture("wide", Arc::new(wide));
    desk.settle();
    // The middle, from column 20: the white part begins at three quarters of it.
    load(&mut desk, &path);
    assert!(desk.selected().iter().all(|[_, col]| *col >= 6) && desk.selected().len() == 16);
    desk.harness.state_mut().state.reframe(Framing::Square(Square { left: 40, top: 0, side: 80 }));
    desk.settle();
    load(&mut desk, &path);
    assert!(desk.selected().iter().all(|[_, col]| *col >= 4) && desk.selected().len() == 32);
}

#[test]
fn a_mask_that_selects_nothing_or_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (black, text) = (folder.path().join("black.png"), folder.path().join("text.png"));
    mask(&black, 64, 64, |_, _| false);
    std::fs::write(&text, "no picture").unwrap();
    let mut desk = Desk::large();
    for (path, message) in [
        (&black, "black.png: expected a mask that is white, or transparent, over at least one cell"),
        (&text, "text.png: expected a picture"),
    ] {
        load(&mut desk, path);
        let said = desk.state().log.notice.as_ref().expect("refused").text.clone();
        assert!(said.contains(message), "{said}");
        let document = desk.state().document.as_ref().unwrap();
        assert!(document.stack() == document.opened() && desk.selected().is_empty());
    }
}
