//! `morph`: an animated PNG from one picture to another.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::{AnimationDecoder, DynamicImage, RgbImage};

use super::desk::Desk;
use super::revision::{MODEL, contextual};

fn frames(desk: &Desk, name: &str) -> Vec<RgbImage> {
    let bytes = std::fs::read(desk.path(name)).unwrap();
    let frames = PngDecoder::new(Cursor::new(bytes)).unwrap().apng().unwrap().into_frames();
    let frames = frames.collect_frames().unwrap().into_iter();
    frames.map(|frame| DynamicImage::from(frame.into_buffer()).into_rgb8()).collect()
}

#[test]
fn a_morph_begins_and_ends_with_the_reconstructions() {
    let desk = Desk::new();
    let pictures = "samples/red-cat.png samples/blue-beard.png";
    let made = desk.json(&format!("morph {pictures} --out between/m.png --frames 7 --fps 20"));
    assert_eq!(made["frames"], 7);
    let frames = frames(&desk, "between/m.png");
    assert_eq!(frames.len(), 7);
    for (name, frame) in [("red-cat", &frames[0]), ("blue-beard", &frames[6])] {
        desk.does(&format!("encode samples/{name}.png --out {name}.npy"));
        desk.does(&format!("decode {name}.npy --out {name}.png"));
        assert_eq!(desk.pixels(&format!("{name}.png")), *frame, "{name}");
    }
    assert!(frames.windows(2).all(|pair| pair[0] != pair[1]));
    desk.refuses(&format!("morph {pictures} --out between/m.png"), 2, "m.png");
}

#[test]
fn a_contextual_model_fits_the_frames() {
    let desk = contextual();
    let pictures = "samples/red-cat.png samples/blue-beard.png --frames 6 --order random --seed 3";
    desk.json(&format!("morph {pictures} {MODEL} --fit --out fitted.png"));
    desk.json(&format!("morph {pictures} --rqvae fixtures/rqvae-shared --out plain.png"));
    let (fitted, plain) = (frames(&desk, "fitted.png"), frames(&desk, "plain.png"));
    assert_eq!((&fitted[0], &fitted[5]), (&plain[0], &plain[5]), "the ends are given");
    assert!((1..5).all(|frame| fitted[frame] != plain[frame]), "the seams between are revised");
    desk.json(&format!("morph {pictures} {MODEL} --fit --out again.png"));
    assert_eq!(fitted, frames(&desk, "again.png"));
}

#[test]
fn what_does_nothing_or_cannot_be_done_is_refused() {
    let desk = Desk::new();
    for (options, message) in [
        ("--fps 0", "--fps: expected 1 to 100, found 0"),
        ("--frames 1", "expected 2 to 10000 frames, found 1"),
        ("--frames 4294967295", "expected 2 to 10000 frames, found 4294967295"),
        ("--class 1", "--class and --prompt do nothing without --fit"),
        (
            "--model fixtures/rqt-class --fit --class 1",
            "fitting a morph needs a model of arch.type contextual-rq-transformer",
        ),
        ("--out m.jpg", "m.jpg"),
    ] {
        desk.refuses(&format!("morph samples/red-cat.png samples/blue-beard.png {options}"), 2, message);
    }
}
