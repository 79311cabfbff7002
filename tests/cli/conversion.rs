//! `convert`: turns any checkpoint format into a single equivalent file.

use std::io::Write;

use serde_json::Value;

use super::desk::{Desk, given, stacks};

/// An archive as published: both stages, each in its own folder.
fn archive(desk: &Desk, name: &str) {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (folder, case) in [("stage1", "rqvae-shared"), ("stage2", "rqt-class")] {
        for file in ["config.yaml", "model.pt"] {
            let from = given(&format!("fixtures/{case}/{file}"));
            tar.append_path_with_name(from, format!("published/{folder}/{file}")).unwrap();
        }
    }
    desk.write(name, tar.into_inner().unwrap().finish().unwrap());
}

/// The codes of a sample image.
pub fn encoded(desk: &Desk, model: &str) -> Value {
    desk.json(&format!("encode samples/red-cat.png --out codes.npy --force --model {model}"))["codes"].clone()
}

#[test]
fn a_folder_and_a_bare_file_give_the_same_codes_in_f32() {
    let desk = Desk::new();
    let expected = encoded(&desk, "fixtures/rqvae-shared");
    for input in ["fixtures/rqvae-shared", "fixtures/rqvae-shared/model.pt"] {
        desk.does(&format!("convert {input} one.safetensors --force"));
        assert_eq!(encoded(&desk, "one.safetensors"), expected, "{input}");
        // A converted file can be converted again.
        desk.does("convert one.safetensors two.safetensors --force");
        let [one, two] = ["one", "two"].map(|name| std::fs::read(desk.path(&format!("{name}.safetensors"))));
        assert_eq!(one.unwrap(), two.unwrap());
    }
}

#[test]
fn an_archive_converts_to_both_stages_with_the_same_samples() {
    let desk = Desk::new();
    archive(&desk, "both.tar.gz");
    let expected = stacks(&desk.json("sample -n 2 --class 3 --model fixtures/rqt-class --out folder"));
    assert_eq!(expected, stacks(&desk.json("sample -n 2 --class 3 --model both.tar.gz --out archive")));
    let files = desk.json("convert both.tar.gz both")["files"].clone();
    assert_eq!(files, serde_json::json!(["both/stage1.safetensors", "both/stage2.safetensors"]));
    assert_eq!(
        expected,
        stacks(&desk.json("sample -n 2 --class 3 --model both/stage2.safetensors --out converted"))
    );
    // The folder converted from an archive can be used as a model, like the archive itself.
    assert_eq!(expected, stacks(&desk.json("sample -n 2 --class 3 --model both --out by-folder")));
    assert_eq!(encoded(&desk, "both"), encoded(&desk, "fixtures/rqvae-shared"));
    let stages = desk.json("info both");
    assert_eq!(stages.as_array().unwrap().len(), 2);
    for out in ["archive", "converted", "by-folder"] {
        assert_eq!(desk.pixels(&format!("{out}/001.png")), desk.pixels("folder/001.png"), "{out}");
    }
}

#[test]
fn a_recipe_names_the_archive_and_is_repeated_from_it() {
    let desk = Desk::new();
    archive(&desk, "both.tar.gz");
    for stage in desk.json("info both.tar.gz").as_array().unwrap() {
        assert_eq!(stage["name"], "both.tar.gz");
        assert!(stage["file"].as_str().unwrap().starts_with("both.tar.gz/published/stage"), "{stage}");
    }
    let made = stacks(&desk.json("sample --model both.tar.gz --class 3 --out made"));
    // The path is relative to the image.
    let recipe = desk.recipe("made/000.png");
    assert_eq!(recipe["rqvae"]["name"], "../both.tar.gz");
    assert_eq!(recipe["sampling"]["rqtransformer"]["name"], "../both.tar.gz");
    assert_eq!(made, stacks(&desk.json("sample --from made/000.png --out again")));
    desk.does("decode made/000.png --out decoded.png");
    for name in ["again/000.png", "decoded.png"] {
        assert_eq!(desk.pixels(name), desk.pixels("made/000.png"), "{name}");
    }
}

/// PyTorch's examples call their weights so.
#[test]
fn weights_called_a_tar_are_weights() {
    let desk = Desk::new();
    desk.copy("fixtures/rqvae-shared/config.yaml", "m/config.yaml");
    desk.copy("fixtures/rqvae-shared/model.pt", "m/model_best.pth.tar");
    let tensors = |model: &str| desk.json(&format!("info {model}"))[0]["tensors"].clone();
    let expected = tensors("fixtures/rqvae-shared");
    assert!(!expected.as_array().unwrap().is_empty());
    for model in ["m", "m/model_best.pth.tar"] {
        assert_eq!(tensors(model), expected, "{model}");
    }
}

#[test]
fn a_converted_pair_stays_a_pair() {
    let desk = Desk::new();
    for (case, folder) in [("rqvae-shared", "v"), ("rqt-class", "t")] {
        for file in ["config.yaml", "model.pt"] {
            desk.copy(&format!("fixtures/{case}/{file}"), &format!("{folder}/{file}"));
        }
    }
    let sample = |model: &str, out: &str| desk.does(&format!("sample --class 3 --model {model} --out {out}"));
    let pixels = |out: &str| desk.pixels(&format!("{out}/000.png"));
    // As in a run, the transformer knows the hash of its RQ-VAE's file.
    let config = std::fs::read_to_string(desk.path("t/config.yaml")).unwrap();
    let named = |more: &str| config.replace("../rqvae-shared/model.pt", &format!("../v/model.pt{more}"));
    desk.write("t/config.yaml", named(""));
    sample("t", "first");
    let hash = desk.recipe("first/000.png")["rqvae"]["sha256"].as_str().unwrap().to_string();
    desk.write("t/config.yaml", named(&format!("\n  sha256: {hash}")));

    desk.does("convert t t.safetensors");
    desk.does("convert t both/stage2.safetensors");
    desk.does("convert v both/stage1.safetensors");
    let another = "an RQ-VAE other than";
    for (model, out) in [("t.safetensors", "alone"), ("both", "both-out")] {
        assert!(!sample(model, out).stderr.contains(another), "{model}");
        assert_eq!(pixels(out), pixels("first"), "{model}");
    }
    // Elsewhere, only the files in the folder are there.
    std::fs::remove_dir_all(desk.path("v")).unwrap();
    assert!(!sample("both", "moved").stderr.contains(another));
    assert_eq!(pixels("moved"), pixels("first"));
    desk.does("convert both half --dtype f16");
    assert!(!sample("half --rqvae half/stage1.safetensors", "half-out").stderr.contains(another));
    // An RQ-VAE that differs in one value is another one.
    let mut other = std::fs::read(desk.path("both/stage1.safetensors")).unwrap();
    let end = other.len();
    (&mut other[end - 4..]).write_all(&1.0f32.to_le_bytes()).unwrap();
    desk.write("both/stage1.safetensors", other);
    sample("both", "wrong").warns(another);
}

/// Pictures of a model and of its conversion are interchangeable.
#[test]
fn a_converted_model_is_the_same_model() {
    let desk = Desk::new();
    desk.does("convert fixtures/rqt-class both/stage2.safetensors");
    desk.does("convert fixtures/rqvae-shared both/stage1.safetensors");
    let sample = |model: &str, out: &str| {
        desk.does(&format!("sample --class 3 --temperature 0.5 --model {model} --out {out}"));
    };
    sample("fixtures/rqt-class", "made");
    sample("both", "again");
    for (from, model, rqvae) in [
        ("made", "both", "both/stage1.safetensors"),
        ("again", "fixtures/rqt-class", "fixtures/rqvae-shared"),
    ] {
        for (line, out) in [
            (format!("decode {from}/000.png --rqvae {rqvae} --out {from}.png"), format!("{from}.png")),
            (
                format!("sample --from {from}/000.png --model {model} --out {from}-repeated"),
                format!("{from}-repeated/000.png"),
            ),
        ] {
            let run = desk.does(&line);
            assert!(!run.stderr.contains("another"), "{line}: {run:?}");
            assert_eq!(desk.pixels(&out), desk.pixels("made/000.png"), "{line}");
        }
    }
    // A completion follows the recipe of a picture that the same model made.
    let completed = |model: &str| {
        stacks(&desk.json(&format!("complete made/000.png --rows 2 --model {model} --out completed")))
    };
    assert_eq!(completed("both"), completed("fixtures/rqt-class"));
}

#[test]
fn a_converted_file_names_no_place_on_the_machine() {
    let desk = Desk::new();
    let home = desk.path("home").display().to_string();
    for (case, folder) in [("rqvae-shared", "home/v"), ("rqt-class", "home/t")] {
        for file in ["config.yaml", "model.pt"] {
            desk.copy(&format!("fixtures/{case}/{file}"), &format!("{folder}/{file}"));
        }
    }
    let config = std::fs::read_to_string(desk.path("home/t/config.yaml")).unwrap();
    let config = config.replace("../rqvae-shared/model.pt", &format!("{home}/v/model.pt"));
    let config = config.replace("type: imagenet", &format!("type: imagenet\n  root: {home}/pictures"));
    let more = format!("result_path: {home}/runs\nruntime:\n  args:\n    out: {home}/runs\n");
    desk.write("home/t/config.yaml", config + &more);
    desk.does("convert home/t home/t.safetensors");
    let bytes = std::fs::read(desk.path("home/t.safetensors")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!holds(&home) && !holds("result_path") && !holds("runtime") && holds("v/model.pt"));
    desk.does("sample --class 3 --model home/t.safetensors --out out");
}

/// A file that embeds its configuration needs no separate one, whatever its name.
#[test]
fn a_folder_with_one_converted_file_is_a_model() {
    let desk = Desk::new();
    desk.does("convert fixtures/rqvae-shared one/weights.safetensors");
    assert_eq!(encoded(&desk, "one"), encoded(&desk, "fixtures/rqvae-shared"));
}

#[test]
fn bundled_models_are_converted_by_name() {
    let desk = Desk::new();
    let files = desk.json("convert characters-128-ar own")["files"].clone();
    assert_eq!(files, serde_json::json!(["own/stage1.safetensors", "own/stage2.safetensors"]));
    let expected = stacks(&desk.json("sample --model characters-128-ar --out bundled"));
    assert_eq!(expected, stacks(&desk.json("sample --model own --out converted")));
    for stage in desk.json("info own").as_array().unwrap() {
        assert_eq!(stage["licence"], "CC BY 4.0, Johan Melin and David Revoy", "{stage}");
    }
}

#[test]
fn converted_weights_agree_with_the_published_implementation() {
    let desk = Desk::new();
    for (case, weights, agrees) in [
        ("rqvae-per-depth", "auto", true),
        ("vqgan-depth1", "auto", true),
        ("rqt-token-embedding", "auto", true),
        ("rqt-class", "ema", true),
        // The golden values come from the EMA weights.
        ("rqt-class", "state", false),
    ] {
        let folder = format!("{case}-{weights}");
        desk.copy(&format!("fixtures/{case}/config.yaml"), &format!("{folder}/config.yaml"));
        desk.copy(&format!("fixtures/{case}/golden.safetensors"), &format!("{folder}/golden.safetensors"));
        desk.does(&format!("convert fixtures/{case} {folder}/model.safetensors --weights {weights}"));
        let rqvae = if case == "rqt-class" { "--rqvae fixtures/rqvae-shared" } else { "" };
        let run = desk.run(&format!("verify {folder} {rqvae}"));
        assert_eq!(run.code, Some(if agrees { 0 } else { 1 }), "{case} {weights}: {run:?}");
    }
}

#[test]
fn half_precision_is_half_the_size_and_nearly_the_same() {
    let desk = Desk::new();
    desk.does("convert fixtures/rqvae-shared full.safetensors");
    desk.does("convert fixtures/rqvae-shared half.safetensors --dtype f16");
    let size = |name| std::fs::metadata(desk.path(name)).unwrap().len() as f64;
    let ratio = size("half.safetensors") / size("full.safetensors");
    assert!((0.5..0.53).contains(&ratio), "{ratio}");
    desk.does("encode samples/orange-cat.png --out codes.npy --model full.safetensors");
    desk.does("decode codes.npy --out full.png --model full.safetensors");
    desk.does("decode codes.npy --out half.png --model half.safetensors");
    let [full, half] = ["full.png", "half.png"].map(|name| desk.pixels(name));
    let furthest = full.iter().zip(half.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(furthest <= 2, "{furthest}");
}

#[test]
fn missing_kinds_of_weights_are_rejected() {
    let desk = Desk::new();
    desk.refuses("convert fixtures/rqvae-shared out.safetensors --weights ema", 2, "no EMA weights");
    desk.refuses("sample --weights ema", 2, "no EMA weights");
}

#[test]
fn several_models_of_one_stage_do_not_overwrite_each_other() {
    let desk = Desk::new();
    for name in ["a", "b"] {
        desk.copy("fixtures/rqt-vqgan-flat/config.yaml", &format!("models/{name}/config.yaml"));
        desk.copy("fixtures/rqt-vqgan-flat/model.pt", &format!("models/{name}/model.pt"));
    }
    let run = desk.run("convert models out");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("several models of one stage; convert them one by one"), "{run:?}");
    desk.refuses("sample --model models", 1, "has several models; name one of ");
}

/// A value outside the range of f16 must not silently become infinite.
#[test]
fn values_beyond_half_precision_are_rejected() {
    let desk = Desk::new();
    desk.does("convert fixtures/rqvae-shared full.safetensors");
    let mut bytes = std::fs::read(desk.path("full.safetensors")).unwrap();
    let end = bytes.len();
    // The last tensor is a matrix; vectors would stay f32.
    (&mut bytes[end - 4..]).write_all(&1e6f32.to_le_bytes()).unwrap();
    desk.write("full.safetensors", bytes);
    desk.refuses(
        "convert full.safetensors half.safetensors --dtype f16",
        1,
        "has values beyond half precision's range, or NaN; convert to f32",
    );
}
