//! Codes that a model cannot decode, and recipes that cannot be repeated.

use image::RgbImage;
use residua_core::codes::{CodeStack, npy};
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::{Provenance, encode_png};
use serde_json::{Value, json};

use super::desk::{Desk, given, stacks};

fn stack(code: u32) -> CodeStack {
    CodeStack::new(8, 8, 4, vec![code; 256]).unwrap()
}

fn png(recipe: Option<String>, codes: Option<CodeStack>) -> Vec<u8> {
    encode_png(&RgbImage::new(64, 64), &Provenance { recipe, codes }).unwrap()
}

#[test]
fn codes_that_do_not_fit_the_model_are_rejected() {
    let whole = npy::encode(&stack(3));
    let small = CodeStack::new(2, 2, 4, vec![1; 16]).unwrap();
    let files: [(&str, Vec<u8>, &str); 12] = [
        (
            "large.npy",
            npy::encode(&stack(1024)),
            "large.npy: row 0, column 0, depth 0: expected a code from 0 to 1023, found 1024",
        ),
        (
            "second.npy",
            npy::encode_all(&[stack(3), stack(1024)]).unwrap(),
            "second.npy: stack 2 of 2: row 0, column 0, depth 0: expected a code from 0 to 1023",
        ),
        (
            "codes.csv",
            b"1,2,3\n".to_vec(),
            "expected an .npy of codes, or a PNG that carries codes, found something else",
        ),
        ("codes.npz", b"PK\x03\x04".to_vec(), "found a zip archive, such as an .npz: unpack it first"),
        ("large.png", png(None, Some(stack(u32::MAX))), "expected a code from 0 to 1023, found 4294967295"),
        ("small.npy", npy::encode(&small), "small.npy: expected codes of shape [8, 8, 4]"),
        ("small.png", png(None, Some(small)), "expected codes of shape [8, 8, 4]"),
        ("cut.npy", whole[..whole.len() - 1].to_vec(), "the .npy header promises [8, 8, 4]"),
        ("text.npy", b"1 2 3".to_vec(), "expected a .npy file"),
        ("page.npy", b"<!DOCTYPE html>".to_vec(), "expected a .npy file, found a web page"),
        ("empty.npy", Vec::new(), "expected a .npy file"),
        ("bare.png", png(None, None), "carries none (`encode` creates them)"),
    ];
    let desk = Desk::new();
    for (name, bytes, message) in files {
        desk.write(name, bytes);
        desk.refuses(&format!("decode {name} --out out.png"), 1, message);
    }
    desk.refuses("decode fixtures/imageio/codes_f4.npy", 1, "expected");
    desk.refuses("decode samples/red-cat.png", 1, "carries none (`encode` creates them)");
    for (name, message) in [("large.npy", "expected a code from 0 to 63"), ("small.npy", "[2, 2, 4]")] {
        for command in [
            "complete --model fixtures/rqt-class --rows 1 --class 0 --out out",
            "explain --model fixtures/rqt-class --row 0 --col 0 --class 0",
            "morph --model fixtures/rqt-class samples/red-cat.png",
        ] {
            desk.refuses(&format!("{command} {name}"), 1, &format!("{name}: "));
            desk.refuses(&format!("{command} {name}"), 1, message);
        }
    }
}

/// The text of a PNG is damaged, its pixels are not.
#[test]
fn damaged_codes_are_named_and_the_picture_is_encoded() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 0 --out sampled");
    let bytes = std::fs::read(desk.path("sampled/000.png")).unwrap();
    desk.does("encode sampled/000.png --model fixtures/rqt-class --out encoded.npy");
    for name in ["residua:codes", "residua:recipe"] {
        let mut damaged = bytes.clone();
        let at = damaged.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
        damaged[at + 40] ^= 1;
        desk.write("damaged.png", damaged);
        let message = format!("damaged.png: the picture's text chunk {name} cannot be read");
        desk.refuses("decode damaged.png", 1, &message);
        desk.refuses("sample --from damaged.png", 1, &message);
        let complete = |input: &str| {
            stacks(&desk.json(&format!("complete {input} --model fixtures/rqt-class --rows 8 --class 0")))
        };
        assert_eq!(complete("damaged.png"), complete("encoded.npy"));
        desk.does("explain damaged.png --model fixtures/rqt-class --row 0 --col 0 --class 0").warns(&message);
    }
}

#[test]
fn completing_a_batch_of_stacks_is_rejected() {
    let desk = Desk::new();
    desk.write("two.npy", npy::encode_all(&[stack(0), stack(1)]).unwrap());
    let line = "complete --model fixtures/rqt-class two.npy --rows 1 --class 0";
    desk.refuses(line, 2, "expected one code stack, found");
}

/// Writes `sampled/changed.png`, a sampled image whose recipe was modified by `change`.
fn change(desk: &Desk, change: impl FnOnce(&mut Value)) {
    let bytes = std::fs::read(desk.path("sampled/000.png")).unwrap();
    let found = Provenance::read(&bytes).unwrap();
    let mut recipe: Value = serde_json::from_str(&found.recipe.unwrap()).unwrap();
    change(&mut recipe);
    desk.write("sampled/changed.png", png(Some(recipe.to_string()), found.codes));
}

#[test]
fn invalid_recipes_are_rejected() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 0 --out sampled");
    let changes: [(&str, Value, i32, &str); 10] = [
        ("/sampling/count", json!(u32::MAX), 2, "expected 1 to 10000 pictures, found 4294967295"),
        ("/sampling/count", json!(0), 2, "expected 1 to 10000 pictures, found 0"),
        ("/sampling/image", json!(u32::MAX), 2, "to fit in 32 bits, found 1 picture from number 4294967295"),
        ("/sampling/seed", json!(-1), 1, "this version cannot read the picture's recipe"),
        ("/sampling/filters", json!([]), 2, "expected 4 filters, one for each depth, found 0"),
        ("/sampling/filters/1/temperature", json!(-2.0), 2, "temperature: expected 0"),
        ("/sampling/filters/2/top_p", json!(7.0), 2, "top-p: expected 0"),
        ("/sampling/condition", json!({"class": "10"}), 2, "class 10 does not exist"),
        ("/sampling/condition", json!({"prompt": "a red cat"}), 2, "this model needs a class"),
        ("/sampling", Value::Null, 1, "was made by sample, not by sampling"),
    ];
    for (place, value, code, message) in changes {
        change(&desk, |recipe| *recipe.pointer_mut(place).unwrap() = value);
        desk.refuses("sample --from sampled/changed.png --out out", code, message);
    }
    desk.write("nothing.png", png(Some("[1, 2]".into()), None));
    desk.refuses("sample --from nothing.png", 1, "this version cannot read the picture's recipe");
    desk.refuses("sample --from samples/red-cat.png", 1, "expected a PNG that carries its recipe");
}

/// A newer version wrote the recipe, or another program removed it: the codes are the same.
#[test]
fn codes_without_a_readable_recipe_are_used_if_they_show_the_picture() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 0 --out sampled");
    let codes = desk.codes("sampled/000.png");
    let picture = Picture::from(desk.pixels("sampled/000.png"));
    let unread = "this version cannot read the picture's recipe";
    for (recipe, message) in [(Some(r#"{"made_by": "later"}"#.to_string()), unread), (None, "")] {
        let provenance = Provenance { recipe, codes: Some(codes.clone()) };
        picture.save_png(&desk.path("later.png"), &provenance).unwrap();
        let decoded = desk.does("decode later.png --model fixtures/rqt-class --out decoded.png --force");
        assert_eq!(decoded.stderr.contains("WARN"), !message.is_empty(), "{decoded:?}");
        assert!(decoded.stderr.contains(message), "{decoded:?}");
        assert_eq!(desk.pixels("decoded.png"), desk.pixels("sampled/000.png"));
        let kept = stacks(&desk.json("complete later.png --model fixtures/rqt-class --rows 8 --class 0"));
        assert_eq!(kept, std::slice::from_ref(&codes));
        // The default model is another one.
        desk.does("decode later.png --out other.png --force").warns("they decode to a different picture");
    }
}

#[test]
fn recipes_from_another_model_or_device_give_a_warning() {
    let desk = Desk::new();
    desk.does("sample --model characters-128-ar --out sampled");
    let repeat = || desk.does("sample --from sampled/changed.png --out out");
    change(&desk, |recipe| recipe["sampling"]["rqtransformer"]["sha256"] = json!("0"));
    repeat().warns("the recipe is for another model, characters-128-ar");
    change(&desk, |recipe| recipe["rqvae"]["sha256"] = json!("0"));
    repeat().warns("the recipe is for another RQ-VAE, characters-128-ar");
    change(&desk, |recipe| recipe["sampling"]["device"] = json!("gpu"));
    repeat().warns("the recipe was made on a gpu, this is a cpu");
}

/// A bundled model knows the RQ-VAE that it learned from, which other bundled models may share.
#[test]
fn a_bundled_model_knows_its_rqvae() {
    let desk = Desk::new();
    let sample = |rqvae: &str| desk.does(&format!("sample --model characters-128-ar --rqvae {rqvae}"));
    assert!(!sample("characters-128").stderr.contains("WARN"));
    desk.does("convert characters-128 own");
    assert!(!sample("own/stage1.safetensors").stderr.contains("WARN"));
    // One that differs in one value is another one.
    let mut bytes = std::fs::read(desk.path("own/stage1.safetensors")).unwrap();
    *bytes.last_chunk_mut().unwrap() = 1.0f32.to_le_bytes();
    desk.write("own/stage1.safetensors", bytes);
    sample("own/stage1.safetensors")
        .warns("characters-128-ar was trained on the codes of an RQ-VAE other than own/stage1.safetensors");
}

/// Recipes are untrusted: a path in one is opened only if it is a local file or folder, seen from the picture.
#[test]
fn a_recipe_with_a_missing_model_asks_for_it() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 0 --out sampled");
    let present = given("fixtures/rqt-class").display().to_string();
    for (name, shown) in [
        ("/nonexistent/model.pt", "model.pt"),
        ("/dev/null", "null"),
        (&present, "rqt-class"),
        ("http://127.0.0.1/model.pt", "http://127.0.0.1/model.pt"),
    ] {
        change(&desk, |recipe| {
            recipe["rqvae"]["name"] = json!(name);
            recipe["sampling"]["rqtransformer"]["name"] = json!(name);
        });
        let message =
            format!("the picture was made with {shown}, which was not found; give the model with --model");
        for command in ["decode", "sample --out out --from"] {
            desk.refuses(&format!("{command} sampled/changed.png"), 2, &message);
            desk.does(&format!("{command} sampled/changed.png --model fixtures/rqt-class"));
        }
        desk.does("decode sampled/changed.png --rqvae fixtures/rqvae-shared");
        std::fs::remove_dir_all(desk.path("out")).unwrap();
        std::fs::remove_file(desk.path("changed-decoded.png")).unwrap();
    }
}
