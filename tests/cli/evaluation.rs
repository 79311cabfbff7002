//! Metrics over folders: reconstructions, likelihoods, and Inception's metrics of image sets.

use residua_metrics::frechet::Statistics;
use residua_metrics::symmetric::Matrix;
use serde_json::Value;

use super::desk::Desk;
use super::inception;
use super::made_up::{MadeUp, golden};
use super::named;
use super::revision::{MODEL, contextual};

pub const SAMPLES: [&str; 6] =
    ["blue-beard.png", "brown-bun.png", "green-cat.png", "orange-cat.png", "red-cat.png", "red-hair.png"];

/// The sample images in the folder `data`, along with two files that are not images.
fn desk() -> Desk {
    let desk = Desk::new();
    SAMPLES.iter().for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    desk.write("data/broken.png", b"no picture");
    desk.write("data/notes.txt", b"no picture either");
    desk
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, found {value}"))
}

fn assert_near(found: &Value, expected: f64) {
    assert!((number(found) - expected).abs() < 1e-4 * expected.abs(), "{found}, expected {expected}");
}

#[test]
fn reconstruction_metrics_match_those_of_single_images() {
    let desk = desk();
    let found = desk.json("eval reconstruction --data data --batch 4");
    let singles: Vec<Value> =
        SAMPLES.iter().map(|name| desk.json(&format!("reconstruct data/{name} --out out"))).collect();
    let mean = |key: &str| singles.iter().map(|single| number(&single[key])).sum::<f64>() / 6.0;
    assert_eq!((&found["pictures"], &found["resolution"]), (&Value::from(6), &Value::from(128)));
    assert!(found["left_out"][0]["path"].as_str().unwrap().ends_with("broken.png"), "{found}");
    for (key, expected) in [("psnr", mean("psnr")), ("ssim", mean("ssim"))] {
        assert_near(&found[key], expected);
    }
    let mean_mse =
        singles.iter().map(|single| 10f64.powf(-number(&single["psnr"]) / 10.0)).sum::<f64>() / 6.0;
    assert_near(&found["mse"], mean_mse);
    assert_near(&found["psnr_of_mean_mse"], -10.0 * mean_mse.log10());
    assert_near(&found["bits_per_pixel"], mean("bits_per_pixel"));
    let depths = found["depths"].as_array().unwrap();
    assert_eq!(depths.len(), 4);
    for (i, depth) in depths.iter().enumerate() {
        assert_near(&depth["bits_per_image"], 640.0 * (i + 1) as f64);
        assert!(number(&depth["entropy_bits_per_image"]) < number(&depth["bits_per_image"]));
        let used = number(&depth["codes_used"]);
        assert!((1.0..=384.0).contains(&number(&depth["perplexity"])) && used <= 384.0, "{depth}");
        assert_near(&depth["usage"], used / 1024.0);
    }
    assert!(depths.windows(2).all(|two| number(&two[0]["psnr"]) < number(&two[1]["psnr"])), "{found}");
    assert_eq!(depths[3]["psnr"], found["psnr"]);

    assert_eq!(found["lpips"], Value::Null);
    let lpips = "--lpips fixtures/lpips/vgg16.pth --lpips fixtures/lpips/lin.pth";
    let looked = desk.json(&format!("eval reconstruction --data data --limit 2 {lpips}"));
    assert!(number(&looked["lpips"]) > 0.0, "{looked}");
    let depths = looked["depths"].as_array().unwrap();
    assert_eq!(depths[3]["lpips"], looked["lpips"]);
    assert!(number(&depths[0]["lpips"]) > number(&depths[3]["lpips"]), "{looked}");

    let run = desk.does("eval reconstruction --data data --limit 3");
    assert!(run.stdout.contains("128x128") && run.stdout.contains(" of 1024"), "{run:?}");
}

#[test]
fn likelihoods_are_better_than_chance_under_the_right_caption() {
    let desk = Desk::new();
    for colour in ["red", "orange"] {
        desk.copy(&format!("samples/{colour}-cat.png"), &format!("data/{colour}.png"));
        desk.write(&format!("data/{colour}.txt"), format!("{colour} cat"));
    }
    let found = desk.json("eval likelihood --data data --model characters-128-ar");
    assert_eq!(found["pictures"], 2);
    assert!(number(&found["nats_below_uniform"]) > 0.5, "{found}");
    assert_near(&found["uniform_bits_per_image"], 2560.0);
    assert!(number(&found["bits_per_image"]) < 2560.0);
    let run = desk.does("eval likelihood --data data --model characters-128-ar --precision q8");
    assert!(run.stdout.contains("below uniform"), "{run:?}");
}

#[test]
fn folders_are_the_classes_that_a_model_names() {
    let desk = Desk::new();
    named::write(&desk.path("named"));
    let measured = |folder: &str, model: &str| {
        desk.copy("samples/red-cat.png", &format!("{folder}/{}/cat.png", named::CLASSES[3]));
        desk.json(&format!("eval likelihood --data {folder} --model {model}"))["bits_per_image"].clone()
    };
    let found = measured("data", "named");
    // The only folder counts as the first class to a model without names, unless the folders are listed.
    assert_ne!(found, measured("unlisted", "fixtures/rqt-class"));
    desk.write("listed/classes.txt", named::CLASSES.join("\n"));
    assert_eq!(found, measured("listed", "fixtures/rqt-class"));
}

#[test]
fn impossible_measurements_are_rejected_in_one_line() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.copy("samples/red-cat.png", "data/red-cat.png");
    desk.copy("samples/red-cat.png", "unknown/lions/red-cat.png");
    named::write(&desk.path("named"));
    desk.write("broken/a.png", b"no picture");
    let few = Statistics { mean: vec![0.0; 3], covariance: Matrix::zeros(3, 3) };
    desk.write("few.npz", few.encode());
    let cases = [
        // Before the weights are looked for, not after hours of sampling.
        (
            "eval fid --data few.npz --inception none.pth --model fixtures/rqt-class",
            1,
            "few.npz: expected statistics of Inception's 2048 features, found 3",
        ),
        (
            "eval fid --data data --inception none.pth --model fixtures/rqt-class --resolution 0",
            2,
            "--resolution: a picture of 0x0 has no pixels",
        ),
        (
            "eval statistics --data data --inception none.pth --out a.npz --resolution 20000",
            2,
            "--resolution: a picture of 20000x20000 is more than the 256 megapixels allowed",
        ),
        ("eval reconstruction --data empty", 1, "expected pictures"),
        ("eval reconstruction --data none", 1, "none"),
        ("eval reconstruction --data broken", 1, "expected pictures, found none in 1 file"),
        ("eval reconstruction --data data --limit 0", 2, "limit: expected at least 1"),
        ("eval reconstruction --data data --split held-out", 2, "use the split all"),
        ("eval likelihood --data data --model fixtures/rqt-class", 2, "expected a class"),
        ("eval likelihood --data unknown --model named", 1, "found lions"),
        ("eval rfid --data data --inception none.pth", 1, "none.pth"),
        ("eval rfid --data data --inception fixtures/checkpoint/bare.pt", 1, "Inception v3"),
    ];
    for (line, code, message) in cases {
        desk.refuses(line, code, message);
    }
}

/// The folders of a model that takes captions may have any names.
#[test]
fn folders_are_classes_only_to_a_model_that_takes_one() {
    let desk = Desk::new();
    desk.copy("samples/red-cat.png", "data/animals/red-cat.png");
    desk.write("data/animals/red-cat.txt", b"a red cat");
    let found = desk.json("eval likelihood --data data --model characters-128");
    assert_eq!(found["pictures"], 1);
}

#[test]
fn folders_of_a_model_without_class_names_may_be_other_classes() {
    let desk = Desk::new();
    desk.copy("samples/red-cat.png", "data/3/red-cat.png");
    let measure = || desk.does("eval likelihood --data data --model fixtures/rqt-class");
    measure().warns("the folders are taken as its classes 0 to 0, in the order of their names");
    let classes: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    desk.write("data/classes.txt", classes.join("\n"));
    let run = measure();
    assert!(!run.stderr.contains("does not name its classes"), "{run:?}");
}

/// One line covers all text files that cannot be read.
#[test]
fn unreadable_texts_are_counted() {
    let desk = desk();
    SAMPLES[..2]
        .iter()
        .for_each(|name| desk.write(&format!("data/{name}").replace("png", "txt"), b"K\xe4se"));
    let run = desk.does("eval reconstruction --data data --limit 2");
    run.warns(
        "2 left out, texts that are not in UTF-8 or have more than 1 MB: blue-beard.txt, brown-bun.txt",
    );
    assert_eq!(run.stderr.matches("brown-bun.txt").count(), 1, "{run:?}");
}

/// Writes a file of made-up Inception weights.
pub fn write_inception(desk: &Desk, name: &str) {
    desk.write(name, inception::weights());
}

/// Three images and three samples are enough: Inception takes about a second for each.
#[test]
fn image_sets_are_compared_by_their_inception_features() {
    let desk = Desk::new();
    SAMPLES[..3].iter().for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    write_inception(&desk, "inception.safetensors");
    let inception = "--inception inception.safetensors";
    let line = format!("eval rfid --data data --model fixtures/rqvae-shared {inception}");
    let rfid = desk.json(&line);
    assert!(number(&rfid["rfid"]) > 0.0, "{rfid}");
    let by_depth = rfid["by_depth"].as_array().unwrap();
    assert_eq!((by_depth.len(), &by_depth[3]), (4, &rfid["rfid"]));
    assert_ne!(by_depth[0], by_depth[3]);
    assert_eq!((&rfid["protocol"]["pictures"], &rfid["protocol"]["resolution"]), (&3.into(), &32.into()));

    let saved = desk.json(&format!("eval statistics --data data --out reference.npz {inception}"));
    assert_eq!(saved["protocol"]["inception_sha256"], rfid["protocol"]["inception_sha256"]);
    // The same images, once as statistics and once as files.
    let own = desk.json(&format!("eval fid --samples data --data reference.npz --splits 2 {inception}"));
    assert!(number(&own["fid"]).abs() < 1e-3, "{own}");
    assert!(number(&own["inception_score"]["mean"]) >= 1.0, "{own}");
    assert_eq!(own["protocol"]["reference_pictures"], Value::Null);

    let run = desk.does(&format!(
        "eval fid --data reference.npz --model fixtures/rqt-class -n 3 --seed 3 --splits 1 {inception}"
    ));
    let figure = run.stdout.lines().next().unwrap().strip_prefix("FID").unwrap().trim();
    assert!(figure.parse::<f64>().unwrap() > 0.0, "{run:?}");
    for part in ["pictures    3, against saved statistics", "SHA-256", "299x299"] {
        assert!(run.stdout.contains(part), "{part}: {run:?}");
    }
    run.warns("fewer than the 2048 features");
}

#[test]
fn metrics_of_kept_samples_match_those_of_their_folders() {
    let desk = Desk::new();
    SAMPLES[..2].iter().for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    write_inception(&desk, "inception.safetensors");
    MadeUp::of(&golden("resnet.json")["basic"]).write(&desk.path("resnet.safetensors"));
    let given = "--data data --inception inception.safetensors";
    let sampled = format!("eval samples {given} --model fixtures/rqt-class -n 20 --seed 3");
    let swept = desk.json(&format!("{sampled} --sweep top-k=1,40 --out kept"));
    let rows = swept["rows"].as_array().unwrap();
    let settings: Vec<&str> = rows.iter().map(|row| row["settings"].as_str().unwrap()).collect();
    assert_eq!(settings, ["top-k-1", "top-k-40"]);
    let resolution = &swept["protocol"]["resolution"];
    let fid = desk.json(&format!("eval fid {given} --samples kept/top-k-40 --resolution {resolution}"));
    assert_eq!((&rows[1]["fid"], &rows[1]["inception_score"]), (&fid["fid"], &fid["inception_score"]));
    assert_ne!(rows[0]["fid"], rows[1]["fid"]);

    // Reuses the existing samples: two per class, of which one or both are accepted.
    let line = format!("{sampled} --top-k 40 --out kept/top-k-40");
    let accepted = desk.json(&format!("{line} --classifier resnet.safetensors --acceptance 0.5,1"));
    let row = |at: usize| (&accepted["rows"][at]["pictures"], &accepted["rows"][at]["fid"]);
    assert_eq!(row(1), (&20.into(), &fid["fid"]));
    assert_eq!(row(0).0, &Value::from(10));
    for (rest, message) in [
        ("--sweep size=3", "expected temperature, top-k, top-p or guidance, found size"),
        ("--sweep top-k", "expected NAME=V,V.."),
        ("--classifier resnet.safetensors", "--acceptance"),
    ] {
        let run = desk.run(&format!("eval samples {given} --out none {rest}"));
        assert!(run.code == Some(2) && run.stderr.contains(message), "{rest}: {run:?}");
    }
}

/// A folder of samples may hold those of a sweep, other samples, or a person's pictures.
#[test]
fn only_the_samples_of_the_plan_are_judged() {
    let desk = Desk::new();
    for name in ["data/a.png", "kept/top-k-5/000000.png", "kept/000.png", "kept/mine.png"] {
        desk.copy("samples/red-cat.png", name);
    }
    desk.copy("samples/green-cat.png", "data/b.png");
    write_inception(&desk, "inception.safetensors");
    let given = "--data data --inception inception.safetensors --model fixtures/rqt-class -n 2";
    let found = desk.json(&format!("eval samples {given} --out kept"));
    assert_eq!(found["rows"][0]["pictures"], 2);
    desk.refuses(&format!("eval samples {given} --out kept --batch 0"), 2, "batch: expected at least 1");
    // The next call would compare the samples with themselves.
    for out in ["data", "data/kept", "./kept/../data/new"] {
        let message = "--out: expected a folder outside data, whose pictures the samples are compared with";
        desk.refuses(&format!("eval samples {given} --out {out}"), 2, message);
    }
}

#[test]
fn a_contextual_model_is_judged_with_the_draft_that_is_asked_for() {
    let desk = contextual();
    SAMPLES[..2].iter().for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    write_inception(&desk, "inception.safetensors");
    let options = "--data data --inception inception.safetensors -n 2 --draft 3 --revise 0";
    let fid = desk.json(&format!("eval fid {options} {MODEL}"));
    assert_eq!(fid["judged"]["schedule"]["draft"], 3);
    let model = "--model contextual --rqvae fixtures/rqvae-shared";
    desk.does(&format!("eval samples {options} {model} --out kept"));
    assert_eq!(desk.recipe("kept/000000.png")["sampling"]["schedule"]["draft"], 3);
    desk.refuses(
        &format!("eval fid {options} --model fixtures/rqt-class"),
        2,
        "--draft: this model samples each cell once",
    );
}
