//! `sample --clip` and `sample --classifier` keep the best samples.

use residua_core::codes::CodeStack;
use residua_io::image_io::png_text::Provenance;
use residua_protocol::Recipe;
use serde_json::Value;

use super::contextual;
use super::desk::{Desk, stacks};
use super::made_up::{MadeUp, golden};
use super::revision::MODEL;

/// The small model has no vocabulary, so its captions are empty.
const BY_CAPTION: &str = "sample --model fixtures/rqt-text --prompt=";
const BY_CLASS: &str = "sample --model fixtures/rqt-class --class 3";

/// A desk with weights for CLIP and the classifier.
fn desk() -> Desk {
    let desk = Desk::new();
    MadeUp::of(&golden("clip.json")).write(&desk.path("clip.safetensors"));
    MadeUp::of(&golden("resnet.json")["basic"]).write(&desk.path("resnet.safetensors"));
    desk
}

/// The scores in a result, best first.
fn scores(result: &Value) -> Vec<f64> {
    let scores: Vec<f64> = serde_json::from_value(result["scores"].clone()).unwrap();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    scores
}

/// The recipe of an image listed in a result.
fn recipe(desk: &Desk, file: &Value) -> Recipe {
    let bytes = std::fs::read(desk.path(file.as_str().unwrap())).unwrap();
    Recipe::from_json(&Provenance::read(&bytes).unwrap().recipe.unwrap()).unwrap()
}

#[test]
fn samples_of_a_caption_are_ranked_by_clip() {
    let desk = desk();
    let plain = stacks(&desk.json(&format!("{BY_CAPTION} -n 10 --out plain")));
    let all = desk.json(&format!("{BY_CAPTION} -n 10 --clip clip.safetensors --out all"));
    assert_eq!((all["measure"].as_str(), all["sampled"].as_u64()), (Some("clip_score"), Some(10)));
    let (sorted, each) = (stacks(&all), scores(&all));
    assert!(each[0] > each[9] && each.iter().all(|score| (-1.0..=1.0).contains(score)), "{each:?}");
    assert!(plain.iter().all(|stack| sorted.contains(stack)));
    assert_ne!(plain, sorted);
    for ((file, stack), score) in all["files"].as_array().unwrap().iter().zip(&sorted).zip(&each) {
        // An image keeps its number, from which it can be sampled again, and records its score.
        let recipe = recipe(&desk, file);
        let image = recipe.sampling.unwrap().image;
        assert_eq!(&plain[image as usize], stack);
        assert!(file.as_str().unwrap().ends_with(&format!("{image:03}.png")));
        assert!((f64::from(recipe.judgement.unwrap().score) - score).abs() < 1e-6);
    }

    // More than one batch: some images of the first batch are removed later.
    let best = desk.json(&format!("{BY_CAPTION} -n 10 --clip clip.safetensors --keep 3 --out best"));
    assert_eq!(stacks(&best), sorted[..3]);
    assert_eq!(scores(&best), each[..3]);
    let left = desk.files().into_iter().filter(|path| path.starts_with(desk.path("best"))).count();
    assert_eq!(left, 3 + 1, "three images and a sheet");
    assert_eq!(stacks(&desk.json("sample --from best/sheet.png --out again")), plain);

    // Captions come from the images' recipes, and the sheet is not scored. Scores differ slightly
    // because files are rounded to 8 bits.
    let seen = desk.json("eval clip --data best --clip clip.safetensors");
    assert_eq!(seen["pictures"].as_array().unwrap().len(), 3);
    let mean = each[..3].iter().sum::<f64>() / 3.0;
    assert!((seen["clip_score"].as_f64().unwrap() - mean).abs() < 1e-2, "{seen}");
}

#[test]
fn scores_are_printed_as_text() {
    let run = desk().does(&format!("{BY_CAPTION} -n 2 --clip clip.safetensors"));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    assert!(lines[..2].iter().all(|line| line.ends_with(".png")), "{run:?}");
    assert_eq!(lines[2], "best of 2 by CLIP score: 2");
}

#[test]
fn a_classifier_keeps_the_most_confident_samples() {
    let desk = desk();
    let line = format!("{BY_CLASS} -n 3 --classifier resnet.safetensors");
    let kept = desk.json(&format!("{line} --acceptance 0.3 --out kept"));
    assert_eq!((kept["measure"].as_str(), kept["sampled"].as_u64()), (Some("class_probability"), Some(10)));
    let all =
        desk.json(&format!("{BY_CLASS} -n 10 --classifier resnet.safetensors --acceptance 1 --out all"));
    assert_eq!(scores(&kept), scores(&all)[..3]);
    assert_eq!(stacks(&kept), stacks(&all)[..3]);
    let plain: Vec<CodeStack> = stacks(&desk.json(&format!("{BY_CLASS} -n 10 --out plain")));
    assert!(stacks(&all).iter().all(|stack| plain.contains(stack)));
    // The default acceptance is a quarter.
    assert_eq!(desk.json(&line)["sampled"], 12);
}

#[test]
fn samples_that_cannot_be_ranked_are_rejected() {
    let desk = desk();
    desk.write("text.txt", "no weights");
    // It has three classes.
    contextual::write(&desk.path("contextual"), &contextual::config(64));
    for (line, code, message) in [
        (
            format!("{BY_CAPTION} -n 2 --clip clip.safetensors --keep 3"),
            2,
            "--keep: expected 1 to 2, the value of -n, found 3",
        ),
        (format!("{BY_CAPTION} --clip clip.safetensors --keep 0"), 2, "--keep: expected 1"),
        (format!("{BY_CAPTION} --clip text.txt"), 1, "expected a .pt or safetensors file"),
        (format!("{BY_CAPTION} --clip none.pt"), 1, "cannot read none.pt"),
        (
            format!("{BY_CAPTION} --clip resnet.safetensors"),
            1,
            "expected CLIP with a vision transformer (ViT)",
        ),
        (
            format!("{BY_CLASS} --classifier clip.safetensors"),
            1,
            "expected a tensor conv1.weight with 4 dimensions",
        ),
        (
            format!("{BY_CLASS} --classifier resnet.safetensors --acceptance 1.5"),
            2,
            "acceptance: expected above 0",
        ),
        (format!("{BY_CLASS} --classifier resnet.safetensors -n 10001"), 2, "expected 1 to 10000 pictures"),
        (format!("sample {MODEL} --classifier resnet.safetensors"), 1, "classes, found one of 10"),
        (
            "sample --model fixtures/rqt-class --prompt cat --clip clip.safetensors".into(),
            2,
            "this model needs a class",
        ),
    ] {
        desk.refuses(&line, code, message);
    }
    for line in [
        "sample --clip clip.safetensors",
        "sample --class 1 --keep 2",
        "sample --class 1 --acceptance 0.5",
        "sample --prompt cat --classifier resnet.safetensors",
    ] {
        assert_eq!(desk.run(line).code, Some(2), "{line}");
    }
}
