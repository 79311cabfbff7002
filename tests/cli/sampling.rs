//! `sample`: the same seed gives the same images, each independent of the others, and each image records how
//! it was made.

use serde_json::Value;

use super::desk::{Desk, Run, given, stacks};
use super::named;

#[test]
fn a_seed_determines_the_codes() {
    let desk = Desk::new();
    let [a, b, c] = ["--seed 7 --out a", "--seed 7 --out b", "--seed 8 --out c"]
        .map(|options| format!("sample --model fixtures/rqt-class --class 3 -n 2 {options}"))
        .map(|line| stacks(&desk.json(&line)));
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert_ne!(a[0], a[1]);
    assert_eq!(desk.pixels("a/001.png"), desk.pixels("b/001.png"));
    assert_eq!(desk.codes("a/001.png"), a[1]);
}

/// Images are sampled eight at a time; the ninth and later ones are in the second batch.
#[test]
fn an_image_does_not_depend_on_the_sample_count() {
    let desk = Desk::new();
    let all = stacks(&desk.json("sample --model fixtures/rqt-class --class 2 --seed 5 -n 10 --out ten"));
    let first = stacks(&desk.json("sample --model fixtures/rqt-class --class 2 --seed 5 -n 1 --out one"));
    let three = stacks(&desk.json("sample --model fixtures/rqt-class --class 2 --seed 5 -n 3 --out three"));
    assert_eq!(all[..1], first);
    assert_eq!(all[..3], three);
    // The recipe of the tenth image samples only that image.
    let tenth = stacks(&desk.json("sample --from ten/009.png --out again"));
    assert_eq!(all[9..], tenth);
    assert_eq!(desk.pixels("ten/009.png"), desk.pixels("again/009.png"));
}

#[test]
fn a_recipe_is_repeated_exactly() {
    let desk = Desk::new();
    let options = "--model fixtures/rqt-class --class 7 --seed 18446744073709551615 -n 3 --half";
    let filters = "--temperature 0.9,1,1.1,1.2 --top-k 50 --top-p 0.9,0.8,0.7,0";
    let made = stacks(&desk.json(&format!("sample {options} {filters} --out made")));
    let one = stacks(&desk.json("sample --from made/001.png --out one"));
    assert_eq!(made[1..2], one);
    // The sheet carries the recipe of all images. A decoded image keeps its recipe.
    assert_eq!(made, stacks(&desk.json("sample --from made/sheet.png --out all")));
    desk.does("decode made/002.png --out decoded.png");
    assert_eq!(made[2..], stacks(&desk.json("sample --from decoded.png --out two")));
    for (from, to) in [
        ("made/001.png", "one/001.png"),
        ("made/sheet.png", "all/sheet.png"),
        ("made/002.png", "two/002.png"),
    ] {
        assert_eq!(desk.pixels(from), desk.pixels(to), "{from}");
    }
}

#[test]
fn a_recipe_records_the_precision() {
    let desk = Desk::new();
    let sample = |options: &str| {
        stacks(&desk.json(&format!("sample --model characters-128-ar --seed 4 -n 2 {options}")))
    };
    let eight = sample("--precision q8 --out made");
    assert_eq!(eight, stacks(&desk.json("sample --from made/sheet.png --out again")));
    assert_eq!(desk.pixels("made/001.png"), desk.pixels("again/001.png"));
    // A different precision can be requested, and is recorded in the new recipe.
    let stored = stacks(&desk.json("sample --from made/sheet.png --precision stored --out other"));
    assert_eq!(stored, sample("--out plain"));
    assert_ne!(stored, eight);
    assert_eq!(stored, stacks(&desk.json("sample --from other/sheet.png --out third")));
    // --half is short for --precision f16.
    assert_eq!(sample("--half"), sample("--precision f16"));
}

/// A recipe records the paths of the models, and which weights were used.
#[test]
fn a_recipe_names_its_models() {
    let desk = Desk::new();
    for options in [
        "--model fixtures/rqt-class --class 3 --weights state",
        "--model fixtures/rqt-class --class 3 --weights ema",
        "--model fixtures/rqt-unconditional/model.pt --rqvae fixtures/rqvae-shared",
    ] {
        let made =
            stacks(&desk.json(&format!("sample {options} --seed 2 --temperature 0.5 --out made --force")));
        assert_eq!(made, stacks(&desk.json("sample --from made/000.png --out again --force")), "{options}");
        assert_eq!(desk.pixels("made/000.png"), desk.pixels("again/000.png"), "{options}");
    }
}

#[test]
fn a_class_can_be_given_by_number_or_name() {
    let desk = Desk::new();
    named::write(&desk.path("named"));
    let sampled =
        |options: &str| stacks(&desk.json(&format!("sample --model named --temperature 0.5 {options}")));
    let by_number = sampled("--class 7");
    assert_eq!(by_number, sampled("--class People"));
    assert_eq!(by_number, sampled("--class pEOPLE --out made"));
    assert_ne!(by_number, sampled("--class 8"));
    assert_eq!(by_number, stacks(&desk.json("sample --from made/000.png --out again")));
}

#[test]
fn greedy_sampling_ignores_the_seed_and_says_so() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 1 --temperature 0").warns("temperature 0 is greedy");
    let greedy = stacks(&desk.json("sample --model fixtures/rqt-class --class 1 --temperature 0 --seed 1"));
    for options in
        ["--temperature 0 --seed 2", "--top-k 1 --seed 3", "--top-k 1,1,1,1", "--temperature 0,0,0,0"]
    {
        assert_eq!(
            greedy,
            stacks(&desk.json(&format!("sample --model fixtures/rqt-class --class 1 {options}"))),
            "{options}"
        );
    }
}

#[test]
fn disabled_filters_keep_all_codes() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 1 --top-p 0").warns("top-p 0 is off");
    let off = stacks(&desk.json("sample --model fixtures/rqt-class --class 1 --top-k 0 --top-p 0"));
    assert_eq!(off, stacks(&desk.json("sample --model fixtures/rqt-class --class 1 --top-k 0 --top-p 1")));
    assert_eq!(off, stacks(&desk.json("sample --model fixtures/rqt-class --class 1 --top-k 64 --top-p 1")));
    assert_ne!(off, stacks(&desk.json("sample --model fixtures/rqt-class --class 1 --top-k 5 --top-p 1")));
}

/// A copy of a fixture, with `section` added to its configuration, whose `experiment.sample` has top-k 64 and
/// top-p 0.92.
fn published(desk: &Desk, section: &str) {
    let config = std::fs::read_to_string(given("fixtures/rqt-class/config.yaml")).unwrap();
    desk.write("model/config.yaml", format!("{config}{section}\n"));
    desk.copy("fixtures/rqt-class/model.pt", "model/model.pt");
}

#[test]
fn the_configuration_sets_defaults_and_info_names_the_section() {
    let desk = Desk::new();
    let sample = "sample --model model --rqvae fixtures/rqvae-shared --class 3 --seed 5";
    for (section, filters, told) in [
        ("", "--temperature 1 --top-k 64 --top-p 0.92", "experiment.sample"),
        (
            "sampling: {temp: 0.8, top_k: [9, 8, 7, 6], top_p: 0.9}",
            "--temperature 0.8 --top-k 9,8,7,6 --top-p 0.9",
            "sampling",
        ),
        (
            "sampling: {temp: 1.0, top_k: null, top_p: null}",
            "--temperature 1 --top-k 0 --top-p 1",
            "sampling",
        ),
        ("sampling: {temp: 1.0, top_p: 0}", "--temperature 0", "sampling"),
    ] {
        published(&desk, section);
        let drawn = stacks(&desk.json(sample));
        assert_eq!(drawn, stacks(&desk.json(&format!("{sample} {filters}"))), "{section}");
        let info = desk.does("info model").stdout;
        let line = info.lines().find(|line| line.starts_with("sampling ")).unwrap();
        assert!(line.ends_with(&format!("({told})")), "{line}");
    }
    published(&desk, "sampling: {top_k: [9, 9, 8, 9]}");
    assert!(desk.does("info model").stdout.contains("top-k 9,9,8,9,"));
    // Each option overrides the configured value.
    published(&desk, "sampling: {temp: 0.8, top_k: 9, top_p: 0.9}");
    let asked = stacks(&desk.json(&format!("{sample} --top-k 3")));
    assert_eq!(asked, stacks(&desk.json(&format!("{sample} --temperature 0.8 --top-k 3 --top-p 0.9"))));
}

/// By default, an image is completed with the settings in its recipe, if the model is the same.
#[test]
fn a_completion_follows_the_images_recipe() {
    let desk = Desk::new();
    let filters = "--temperature 0.3 --top-k 7 --top-p 0.6";
    desk.does(&format!("sample --model fixtures/rqt-class --class 3 --seed 5 {filters} --out made"));
    let complete =
        |rest: &str| stacks(&desk.json(&format!("complete made/000.png --rows 2 --seed 9 {rest}")));
    let found = complete("");
    assert_eq!(found, complete(filters));
    assert_ne!(found, complete("--temperature 1 --top-k 0 --top-p 1"));
}

#[test]
fn published_folders_are_sampled_with_their_own_stage_1() {
    let desk = Desk::new();
    for (options, shape) in [
        ("--model fixtures/rqt-unconditional", [8, 8, 4]),
        ("--model fixtures/rqt-class --class 9", [8, 8, 4]),
        ("--model fixtures/rqt-class/model.pt --class 9 --half", [8, 8, 4]),
        ("--model fixtures/rqt-vqgan-flat", [4, 4, 1]),
        ("--model fixtures/rqt-unconditional --rqvae fixtures/rqvae-shared", [8, 8, 4]),
    ] {
        let sampled = stacks(&desk.json(&format!("sample -n 2 {options}")));
        assert!(sampled.iter().all(|stack| stack.shape() == shape), "{options}");
    }
}

#[test]
fn trained_and_ema_weights_are_distinguished() {
    let desk = Desk::new();
    let [auto, state, ema] = ["auto", "state", "ema"].map(|weights| {
        let line = format!("sample --model fixtures/rqt-class --class 0 --temperature 0 --weights {weights}");
        stacks(&desk.json(&line))
    });
    // The published trainer never updates its EMA, which still holds the initial weights.
    assert_eq!(auto, state);
    assert_ne!(auto, ema);
    let line = "sample --model fixtures/rqt-class --class 0 --weights ema";
    desk.does(line).warns("the moving average is far from the trained weights");
    desk.does("convert fixtures/rqt-class averaged.safetensors --weights ema").warns("is far from");
    assert!(!desk.does("sample --model fixtures/rqt-class --class 0").stderr.contains("is far from"));
}

/// The default model takes captions, but needs none.
#[test]
fn the_default_model_samples_without_options() {
    let desk = Desk::new();
    let run = desk.does("sample");
    assert!(!run.stderr.contains("WARN"), "{run:?}");
    assert_eq!(desk.pixels("samples/000.png").dimensions(), (128, 128));
    let sampling = &desk.recipe("samples/000.png")["sampling"];
    assert_eq!(sampling["rqtransformer"]["name"], "characters-128");
    assert_eq!(sampling["condition"], "unconditional");
}

/// The default model has learned the colours of cats.
#[test]
fn the_default_model_follows_captions() {
    let desk = Desk::new();
    let [red, blue] = ["red", "blue"].map(|colour| {
        let mut sample = desk.command(&format!("sample -n 2 --out {colour}"));
        assert!(sample.args(["--prompt", &format!("a {colour} cat")]).status().unwrap().success());
        warmth(&desk, colour)
    });
    assert!(red > 20.0 && blue < 0.0, "{red} {blue}");
}

/// How much more red than blue the two images in a folder are, on average, in levels of 255.
fn warmth(desk: &Desk, folder: &str) -> f64 {
    let pictures = ["000.png", "001.png"].map(|name| desk.pixels(&format!("{folder}/{name}")));
    let pixels = || pictures.iter().flat_map(|picture| picture.pixels());
    let sum: f64 = pixels().map(|pixel| f64::from(pixel.0[0]) - f64::from(pixel.0[2])).sum();
    sum / pixels().count() as f64
}

#[test]
fn a_caption_without_known_words_gives_a_warning() {
    let desk = Desk::new();
    for (prompt, message) in [
        ("\u{1f431}", "this model knows nothing in the caption \"\u{1f431}\""),
        ("-", "this model knows nothing in the caption \"-\""),
        ("", "--prompt is empty"),
    ] {
        let mut command = desk.command("sample");
        let run = Run::of(command.args(["--prompt", prompt]).output().unwrap());
        assert_eq!(run.code, Some(0), "{run:?}");
        run.warns(message);
    }
}

/// The autoregressive model of the same family takes the same captions, and needs none either.
#[test]
fn the_autoregressive_model_takes_captions() {
    let desk = Desk::new();
    let sample = |out: &str, prompt: &[&str]| {
        let mut command = desk.command(&format!("sample --model characters-128-ar --seed 2 --out {out}"));
        let run = Run::of(command.args(prompt).output().unwrap());
        assert!(run.code == Some(0) && !run.stderr.contains("WARN"), "{run:?}");
        (desk.codes(&format!("{out}/000.png")), desk.recipe(&format!("{out}/000.png"))["sampling"].clone())
    };
    let (red, recipe) = sample("red", &["--prompt", "a red cat"]);
    assert_eq!(recipe["rqtransformer"]["name"], "characters-128-ar");
    assert_eq!((&recipe["condition"]["prompt"], &recipe["schedule"]), (&"a red cat".into(), &Value::Null));
    assert_eq!(red, stacks(&desk.json("sample --from red/000.png --out again"))[0]);
    assert_ne!(red, sample("blue", &["--prompt", "a blue cat"]).0);
    let (without, recipe) = sample("without", &[]);
    assert_eq!(recipe["condition"], "unconditional");
    assert_ne!(red, without);
}
