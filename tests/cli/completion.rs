//! `complete`: kept codes stay exactly, and the rest is sampled as if they had come first.

use image::{Rgb, RgbImage};
use residua_core::codes::CodeStack;

use super::desk::{Desk, given, stacks};

/// An autoregressive model with ten classes.
const MODEL: &str = "--model fixtures/rqt-class";

/// A desk with the codes of a sample image in `red-cat.npy`, and those codes.
fn cat() -> (Desk, CodeStack) {
    let desk = Desk::new();
    desk.does(&format!("encode samples/red-cat.png {MODEL}"));
    let codes = residua_core::codes::npy::load(&desk.path("red-cat.npy")).unwrap().remove(0);
    (desk, codes)
}

#[test]
fn the_first_rows_are_kept_exactly() {
    let (desk, codes) = cat();
    for rows in [0, 3, 7, 8] {
        let completed =
            stacks(&desk.json(&format!("complete {MODEL} red-cat.npy --rows {rows} --class 2 -n 2")));
        let kept = rows * 8 * 4;
        for stack in &completed {
            assert_eq!(stack.codes()[..kept], codes.codes()[..kept], "{rows} rows");
            assert_eq!(*stack == codes, rows == 8, "{rows} rows");
        }
        assert_eq!(completed[0] == completed[1], rows == 8, "{rows} rows");
    }
}

#[test]
fn keeping_nothing_is_the_same_as_sampling() {
    let (desk, _) = cat();
    let completed =
        desk.json(&format!("complete {MODEL} red-cat.npy --rows 0 --class 2 --seed 4 --out completed"));
    let sampled = desk.json(&format!("sample {MODEL} --class 2 --seed 4 --out sampled"));
    assert_eq!(stacks(&completed), stacks(&sampled));
    assert_eq!(desk.pixels("completed/000.png"), desk.pixels("sampled/000.png"));
}

#[test]
fn cells_under_the_black_part_of_a_mask_are_kept_exactly() {
    let (desk, codes) = cat();
    // White over rows 2 to 4 and columns 5 to 7, at a different size than the model's.
    let is_white = |row: u32, col: u32| (2..5).contains(&row) && (5..8).contains(&col);
    let mask = RgbImage::from_fn(160, 160, |x, y| Rgb([if is_white(y / 20, x / 20) { 255 } else { 0 }; 3]));
    mask.save(desk.path("mask.png")).unwrap();
    let line = format!("complete {MODEL} samples/red-cat.png --mask mask.png --class 2 -n 3");
    for stack in stacks(&desk.json(&line)) {
        for place in codes.diff(&stack).unwrap() {
            assert!(is_white(place.0 as u32, place.1 as u32), "{place:?}");
        }
        assert_ne!(stack, codes);
    }
}

/// The erased part of an image is resampled.
#[test]
fn a_mask_may_be_transparent() {
    let (desk, _) = cat();
    let is_meant = |y: u32, height: u32| (2..4).contains(&(8 * y / height));
    let bright = RgbImage::from_fn(64, 64, |_, y| Rgb([if is_meant(y, 64) { 255 } else { 0 }; 3]));
    bright.save(desk.path("bright.png")).unwrap();
    let mut rubbed = image::open(given("samples/red-cat.png")).unwrap().into_rgba8();
    let height = rubbed.height();
    rubbed
        .enumerate_pixels_mut()
        .for_each(|(_, y, pixel)| pixel.0[3] = if is_meant(y, height) { 0 } else { 255 });
    rubbed.save(desk.path("rubbed.png")).unwrap();
    let complete =
        |mask: &str| stacks(&desk.json(&format!("complete {MODEL} red-cat.npy --mask {mask} --class 2")));
    assert_eq!(complete("bright.png"), complete("rubbed.png"));
}

#[test]
fn a_sampled_image_keeps_its_condition() {
    let desk = Desk::new();
    desk.does(&format!("sample {MODEL} --class 4 --out sampled"));
    let found = stacks(&desk.json("complete sampled/000.png --rows 2 --temperature 0"));
    let line = format!("complete {MODEL} sampled/000.png --rows 2 --temperature 0 --class 4");
    let given = stacks(&desk.json(&line));
    assert_eq!(found, given);
    let line = format!("complete samples/red-cat.png --rows 2 {MODEL}");
    desk.refuses(&line, 2, "this model needs a class");
}

#[test]
fn a_completed_image_cannot_be_repeated_from_its_recipe() {
    let (desk, _) = cat();
    desk.does(&format!("complete {MODEL} red-cat.npy --rows 4 --class 2 --out completed"));
    desk.does("decode completed/000.png --out decoded.png");
    for name in ["completed/000.png", "decoded.png"] {
        desk.refuses(
            &format!("sample --from {name}"),
            2,
            "was completed from existing codes; use `complete`",
        );
    }
}

/// The best completions are those for which `explain` gives the kept codes the highest probabilities.
#[test]
fn the_best_completions_make_kept_codes_most_likely() {
    let (desk, codes) = cat();
    // Only the last cell is kept.
    let mask = RgbImage::from_fn(64, 64, |x, y| Rgb([if x < 56 || y < 56 { 255 } else { 0 }; 3]));
    mask.save(desk.path("mask.png")).unwrap();
    let line = format!("complete {MODEL} red-cat.npy --mask mask.png --class 2 --seed 9");
    let all = stacks(&desk.json(&format!("{line} -n 4 --out all")));
    let score = |image: usize| -> f64 {
        let bits = (0..4).map(|depth| {
            let place = format!("--row 7 --col 7 --depth {depth} --class 2");
            let found = desk.json(&format!("explain all/{image:03}.png {place}"));
            found["explanation"]["chosen"]["probability"].as_f64().unwrap().log2()
        });
        bits.sum::<f64>() / 4.0
    };
    let mut scored: Vec<(f64, CodeStack)> = (0..4).map(score).zip(all).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = desk.json(&format!("{line} -n 2 --best-of 4 --out best"));
    assert_eq!(best["measure"], "kept_likelihood");
    for ((expected, stack), found) in scored.iter().zip(stacks(&best)) {
        assert_eq!(*stack, found);
        assert_eq!(stack.at(7, 7, 3).unwrap(), codes.at(7, 7, 3).unwrap());
        let scores = best["scores"].as_array().unwrap();
        assert!(
            scores.iter().any(|score| (score.as_f64().unwrap() - expected).abs() < 1e-3),
            "{scores:?} {expected}"
        );
    }
    desk.refuses(
        &format!("complete {MODEL} red-cat.npy --rows 3 --class 2 --best-of 4"),
        2,
        "expected kept cells after",
    );
    desk.refuses(&format!("{line} -n 3 --best-of 2"), 2, "--best-of: expected at least 3, the value of -n");
}
