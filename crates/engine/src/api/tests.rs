//! The library computes what the published code does, and refuses what does not fit.

use std::path::Path;

use super::*;
use crate::verify::golden::Golden;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

/// A model with its published outputs, which are of the averaged weights if there are any.
fn fixture(name: &str, weights: StateKind) -> (Model, Golden) {
    let folder = Path::new(FIXTURES).join(name);
    let golden = Golden::open(&folder.join("golden.safetensors")).unwrap();
    let place = folder.to_str().unwrap();
    (Model::builder(place).device(DeviceChoice::Cpu).weights(weights).load().unwrap(), golden)
}

fn on_cpu(name: &str) -> Model {
    Model::builder(format!("{FIXTURES}/{name}")).device(DeviceChoice::Cpu).load().unwrap()
}

#[test]
fn decoded_pixels_match_the_published_code() {
    let (model, golden) = fixture("rqvae-shared", StateKind::Auto);
    let codes = golden.stacks("codes").unwrap();
    let pixels = golden.values("decode_code").unwrap();
    for (codes, pixels) in codes.iter().zip(pixels.chunks_exact(3 * 32 * 32)) {
        let expected = Picture::new(32, 32, pixels.to_vec()).unwrap().to_rgb8();
        let found = model.decode(codes).unwrap();
        let furthest = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(1), "{furthest:?}");
        assert_eq!(model.edit(codes).run().unwrap().image, found);
    }
}

#[test]
fn greedy_samples_and_completions_match_the_published_code() {
    let (model, golden) = fixture("rqt-class", StateKind::Ema);
    let given = golden.stacks("codes").unwrap();
    let expected = ["greedy", "greedy_keep_row0"].map(|name| golden.stacks(name).unwrap());
    for (image, class) in golden.numbers("cond").unwrap().into_iter().enumerate() {
        let sampled = model.sample().class(class).temperature(0.0).run().unwrap();
        assert_eq!(sampled[0].codes, expected[0][image], "{class}");
        let completed = model.complete(&given[image], |row, _| row == 0).class(class).top_k(1).run().unwrap();
        assert_eq!(completed[0].codes, expected[1][image], "{class}");
    }
}

#[test]
fn an_edit_follows_the_explanation() {
    let model = on_cpu("rqt-class");
    let codes = model.sample().class(3).first(2).run().unwrap().remove(0).codes;
    let place = [4, 5, 1];
    let explanation = model.explain(&codes, place).class(3).count(2).run().unwrap();
    assert_eq!(explanation.suggestions.len(), 2);
    assert_eq!(explanation.chosen.code, codes.at(4, 5, 1).unwrap());
    let edited = model.edit(&codes).set(place, explanation.suggestions[0].code).run().unwrap();
    let best = model.explain(&edited.codes, place).class(3).run().unwrap();
    assert_eq!((best.rank, best.chosen.code), (0, explanation.suggestions[0].code));
    assert_eq!(edited.image, model.decode(&edited.codes).unwrap());
}

#[test]
fn classes_go_by_name_or_number() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.yaml", "model.pt"] {
        std::fs::copy(format!("{FIXTURES}/rqt-class/{file}"), folder.path().join(file)).unwrap();
    }
    let names: Vec<String> = (0..10).map(|number| format!("Kind {number}")).collect();
    std::fs::write(folder.path().join("classes.txt"), names.join("\n")).unwrap();
    let model = Model::builder(folder.path().display().to_string())
        .rqvae(format!("{FIXTURES}/rqvae-shared"))
        .device(DeviceChoice::Cpu)
        .load()
        .unwrap();
    assert_eq!(model.classes(), names);
    let sampled = |class: &str| model.sample().class(class).run().unwrap().remove(0).codes;
    assert_eq!(sampled("kind 3"), sampled("3"));
    assert!(on_cpu("rqt-class").classes().is_empty());
}

#[test]
fn an_rqvae_alone_does_not_sample() {
    let model = on_cpu("rqvae-shared");
    assert!(!model.can_sample() && model.classes().is_empty());
    let error = model.sample().run().unwrap_err().to_string();
    assert!(error.contains("no RQ-Transformer"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = on_cpu("rqt-class");
    let codes = CodeStack::new(8, 8, 4, vec![0; 256]).unwrap();
    let small = CodeStack::new(1, 1, 1, vec![0]).unwrap();
    for (error, expected) in [
        (model.encode(&RgbImage::new(0, 5)).map(drop), "found one of 0x5"),
        (model.decode(&small).map(drop), "expected codes of shape"),
        (model.edit(&codes).set([8, 0, 0], 1).run().map(drop), "outside the 8x8x4"),
        (model.edit(&codes).set([0, 0, 0], 5000).run().map(drop), "found 5000"),
        (model.sample().run().map(drop), "needs a class"),
        (model.sample().class(0).count(10_001).run().map(drop), "expected 1 to 10000 pictures, found 10001"),
        (
            model.sample().class(0).adjust(|depth, filter| filter.top_p = depth as f32).run().map(drop),
            "top-p",
        ),
        (model.complete(&small, |_, _| true).class(0).run().map(drop), "code stacks are"),
        (model.explain(&codes, [0, 0, 4]).class(0).run().map(drop), "outside the 8x8x4"),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_stopped_task_stops_the_work() {
    let model = on_cpu("rqt-class");
    let stopped = || Task::new(std::sync::Arc::new(true.into()), |_, _| ());
    let sampled = pollster::block_on(model.sample().class(0).run_with(&mut stopped()));
    assert!(matches!(sampled, Err(Error::Cancelled)), "{sampled:?}");
    let codes = CodeStack::new(8, 8, 4, vec![0; 256]).unwrap();
    let explained = pollster::block_on(model.explain(&codes, [0; 3]).class(0).run_with(&stopped()));
    assert!(matches!(explained, Err(Error::Cancelled)), "{explained:?}");
}
