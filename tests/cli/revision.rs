//! Contextual models: `sample`, `complete` and `revise` draft and revise with them; unsupported options are
//! rejected.

use image::{Rgb, RgbImage};

use super::contextual::{config, write};
use super::desk::{Desk, stacks};

/// Selects the model and its RQ-VAE.
pub const MODEL: &str = "--model contextual --rqvae fixtures/rqvae-shared --class 1";

/// A desk with a contextual model with random weights.
pub fn contextual() -> Desk {
    let desk = Desk::new();
    write(&desk.path("contextual"), &config(64));
    desk
}

#[test]
fn a_recipe_records_the_draft_and_the_revisions() {
    let desk = contextual();
    let options = "--draft 4 --revise 1x3 --temperature 0.7 --revise-top-k 5 --seed 3 -n 2";
    let made = stacks(&desk.json(&format!("sample {MODEL} {options} --out made")));
    let schedule = &desk.recipe("made/001.png")["sampling"]["schedule"];
    assert_eq!((&schedule["draft"], &schedule["revise"]["parts"]), (&4.into(), &3.into()));
    assert_eq!(schedule["filters"][3]["top_k"], 5);
    assert_eq!(made[1..], stacks(&desk.json("sample --from made/001.png --out one")));
    assert_eq!(made, stacks(&desk.json("sample --from made/sheet.png --out all")));
    assert_eq!(desk.pixels("made/001.png"), desk.pixels("one/001.png"));
    for other in ["--seed 4", "--draft 5", "--revise 2x3", "--revise-top-k 6"] {
        let key = other.split(' ').next().unwrap();
        let words: Vec<&str> = options.split(' ').collect();
        let at = words.iter().position(|word| *word == key).unwrap();
        let rest = [&words[..at], &words[at + 2..]].concat().join(" ");
        let others = stacks(&desk.json(&format!("sample {MODEL} {rest} {other} --out others --force")));
        assert_ne!(made, others, "{other}");
    }
}

/// By default, there is a draft and a revision.
#[test]
fn an_image_does_not_depend_on_the_sample_count() {
    let desk = contextual();
    let all = stacks(&desk.json(&format!("sample {MODEL} --seed 5 -n 10 --out ten")));
    assert_eq!(all[..1], stacks(&desk.json(&format!("sample {MODEL} --seed 5 --out one"))));
    assert_eq!(all[9..], stacks(&desk.json("sample --from ten/009.png --out again")));
    let usual = "--draft 16 --revise 2x2 --temperature 0.9";
    assert_eq!(all[..1], stacks(&desk.json(&format!("sample {MODEL} {usual} --seed 5 --out said"))));
    desk.does("sample --model contextual --rqvae fixtures/rqvae-shared --bulk -n 1 --draft 2 --out bulk");
    assert_eq!(desk.recipe("bulk/000002.png")["sampling"]["schedule"]["draft"], 2);
}

#[test]
fn kept_cells_stay_and_all_others_are_resampled() {
    let desk = contextual();
    desk.does(&format!("sample {MODEL} --seed 8 --out made"));
    let codes = desk.codes("made/000.png");
    // White over rows 2 to 4 and columns 5 to 7.
    let is_white = |row: usize, col: usize| (2..5).contains(&row) && (5..8).contains(&col);
    let mask = RgbImage::from_fn(64, 64, |x, y| {
        Rgb([if is_white(y as usize / 8, x as usize / 8) { 255 } else { 0 }; 3])
    });
    mask.save(desk.path("mask.png")).unwrap();
    for line in ["complete made/000.png --mask mask.png", "revise made/000.png --cells mask.png --revise 3x2"]
    {
        let found = stacks(&desk.json(&format!("{line} {MODEL} --seed 1 -n 2 --out found --force")));
        for stack in &found {
            let places = codes.diff(stack).unwrap();
            assert!(
                !places.is_empty() && places.iter().all(|place| is_white(place.0, place.1)),
                "{line}: {places:?}"
            );
        }
        assert_ne!(found[0], found[1], "{line}");
    }
    // A part of the draft has as many cells as in a whole picture, unless the number of parts is given.
    let completed = |option: &str| {
        let line =
            format!("complete made/000.png --mask mask.png {MODEL} --seed 1 {option} --out part --force");
        let found = stacks(&desk.json(&line));
        (found, desk.recipe("part/000.png")["sampling"]["schedule"]["draft"].clone())
    };
    let (usual, parts) = completed("");
    assert_eq!(parts, 3, "9 of 64 cells");
    assert_eq!(completed("--draft 3").0, usual);
    assert_eq!(completed("--draft 16").1, 16);
    // By default, all cells are revised. The class comes from the image's recipe.
    let model = "--model contextual --rqvae fixtures/rqvae-shared";
    let revised = stacks(&desk.json(&format!("revise made/000.png {model} --out revised")));
    let changed = codes.diff(&revised[0]).unwrap();
    assert!(changed.iter().any(|place| place.0 == 0) && changed.iter().any(|place| place.0 == 7));
    assert_eq!(desk.recipe("revised/000.png")["sampling"]["schedule"]["draft"], 0);
    desk.refuses("sample --from revised/000.png", 2, "was revised from existing codes; use `revise`");
}

#[test]
fn options_without_effect_and_impossible_requests_are_rejected() {
    let desk = contextual();
    for (line, message) in [
        (
            "sample --model fixtures/rqt-class --class 0 --draft 4",
            "--draft: this model samples each cell once (rq-transformer)",
        ),
        (
            "sample --model fixtures/rqt-class --class 0 --revise 1x2",
            "--revise: this model samples each cell once",
        ),
        (
            "complete --model fixtures/rqt-class samples/red-cat.png --rows 2 --class 0 --revise-top-k 3",
            "--revise-top-k: this model samples",
        ),
        (
            "revise --model fixtures/rqt-class samples/red-cat.png --class 0",
            "revising needs a model of arch.type contextual-rq-transformer, found rq-transformer",
        ),
        (
            &format!("sample {MODEL} --revise 0 --revise-top-p 0.5"),
            "--revise-top-p does nothing without revisions",
        ),
        (&format!("sample {MODEL} --draft 0"), "--draft: expected 1 or more, found 0"),
        (&format!("sample {MODEL} --draft 70000"), "parts of the draft: expected at most 65536, found 70000"),
        (&format!("revise samples/red-cat.png {MODEL} --revise 0"), "--revise: expected at least one round"),
    ] {
        desk.refuses(line, 2, message);
    }
    let run = desk.run(&format!("sample {MODEL} --revise 2"));
    assert!(run.code == Some(2) && run.stderr.contains("such as 2x4, or 0 for none, found 2"), "{run:?}");
    assert_eq!(desk.run("sample --from a.png --draft 3").code, Some(2));
}

/// Autoregressive weights lack a tensor that contextual models need, and vice versa.
#[test]
fn weights_of_the_other_architecture_do_not_fit() {
    let desk = contextual();
    let info = desk.json("info contextual");
    assert_eq!(info[0]["config"]["arch"]["type"], "contextual-rq-transformer");
    assert_eq!(info[0]["by_part"]["mask_emb"], 24);
    desk.write("contextual/config.yaml", config(64).replace("contextual-", ""));
    desk.run(&format!("sample {MODEL}")).warns("has mask_emb that this model does not use");
    desk.copy("fixtures/rqt-class/model.pt", "class/model.pt");
    let text = std::fs::read_to_string(super::desk::given("fixtures/rqt-class/config.yaml")).unwrap();
    desk.write("class/config.yaml", text.replace("type: rq-transformer", "type: contextual-rq-transformer"));
    desk.refuses("sample --model class --rqvae fixtures/rqvae-shared --class 1", 1, "missing: mask_emb");
}
