//! Captions: the words that the model knows, guidance, and a caption for painted cells alone.

use eframe::egui::Vec2;
use egui_kittest::kittest::Queryable;
use image::{Rgb, RgbImage};
use residua::app::Start;
use residua_core::codes::{CodeStack, npy};
use residua_protocol::Condition;
use tempfile::TempDir;

use crate::contextual::{config, write};
use crate::desk::{Desk, SMALL_RQVAE};
use crate::sampled::made;

/// A desk with a contextual model of random weights that takes captions of up to three words, and a folder with the model as
/// `model`.
pub fn captioned() -> (TempDir, Desk) {
    let words = "{vocab_size: 64, txt_tok_name: words, words: [a, red, cat, dog]}";
    let tokens = "vocab_size_cond: 5\n  block_size_cond: 3\n  cond_dropout: 0.1";
    let text = config(64).replace("{vocab_size: 64}", words).replace("vocab_size_cond: 3", tokens);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model");
    write(&place, &text);
    let model = Some(place.to_str().unwrap().into());
    let start = Start { model, rqvae: Some(SMALL_RQVAE.into()), ..Start::default() };
    let desk = Desk::with(start, Vec2::new(1600.0, 1200.0));
    (folder, desk)
}

/// The codes that the command line makes with the model in `folder`.
pub fn by_command(folder: &TempDir, name: &str, arguments: &[&str]) -> CodeStack {
    let model = folder.path().join("model");
    let models = ["--model", model.to_str().unwrap(), "--rqvae", SMALL_RQVAE];
    made(&folder.path().join(name), 1, &[arguments, &models[..]].concat()).remove(0)
}

fn prompt(text: &str) -> Condition {
    Condition::Prompt(text.into())
}

#[test]
fn known_words_are_offered_and_unknown_ones_are_named() {
    let (_folder, mut desk) = captioned();
    assert_eq!(desk.state().condition, Condition::Unconditional);
    desk.type_into("Caption", "a red dragon");
    assert_eq!(desk.state().condition, prompt("a red dragon"));
    assert!(desk.shows("2 of 3 tokens") && desk.shows("Not in this model's vocabulary: dragon"));
    desk.click("Words that this model knows");
    desk.click("cat");
    assert_eq!(desk.state().condition, prompt("a red dragon cat"));
    assert!(desk.shows("3 of 3 tokens"));
    desk.click("dog");
    assert!(desk.shows("4 of 3 tokens; the rest is cut off"));
}

#[test]
fn guidance_is_offered_where_the_model_was_trained_for_it() {
    assert!(!Desk::new().shows("Guidance at all depths"));
    let (folder, mut desk) = captioned();
    desk.type_into("Caption", "a red cat");
    desk.enter("Guidance at all depths", 3.0);
    desk.enter("Seed", 5.0);
    desk.enter("Pictures", 1.0);
    desk.click("Generate (Ctrl+Enter)");
    let item = &desk.state().gallery.items[0];
    let sampled = (**item.stack.as_ref().unwrap()).clone();
    let wish = ["sample", "--prompt", "a red cat", "--seed", "5"];
    let guided = by_command(&folder, "guided", &[&wish[..], &["--guidance", "3"][..]].concat());
    assert_eq!(sampled, guided);
    assert_ne!(sampled, by_command(&folder, "plain", &wish));
    let recipe = item.recipe.as_ref().unwrap().sampling.clone().unwrap();
    assert!(recipe.filters.iter().all(|filter| filter.guidance == 3.0), "{:?}", recipe.filters);
}

/// The same as the command line's completion of these cells with this caption, by the bundled model: it heeds captions.
#[test]
fn painted_cells_have_a_caption_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::with(Start::default(), Vec2::new(1600.0, 1200.0));
    let at = |name: &str| folder.path().join(name);
    let opened = desk.state().document.as_ref().unwrap().stack().clone();
    std::fs::write(at("opened.npy"), npy::encode(&opened)).unwrap();
    // Row 2, columns 1 to 5.
    let mask = RgbImage::from_fn(128, 128, |x, y| {
        Rgb([if (32..48).contains(&y) && (16..96).contains(&x) { 255 } else { 0 }; 3])
    });
    mask.save(at("mask.png")).unwrap();
    desk.click("Revise");
    desk.click("Another caption");
    // It begins with the caption of new pictures.
    desk.type_into("Caption of the painted cells", " and");
    desk.click("Words for the painted cells");
    desk.click("glasses");
    let caption = "a blue cat with a red scarf and glasses";
    assert_eq!(desk.state().revising.condition, Some(prompt(caption)));
    desk.enter("Seed", 5.0);
    desk.paint([2, 1], [2, 5]);
    let document = desk.state().document.as_ref().unwrap();
    let completed = |prompt: &str| {
        let (input, mask) = (at("opened.npy"), at("mask.png"));
        let [input, mask] = [&input, &mask].map(|path| path.to_str().unwrap());
        let wish = ["complete", input, "--mask", mask, "--seed", "5", "--prompt", prompt];
        made(&at(prompt), 1, &wish).remove(0)
    };
    assert_eq!(**document.stack(), completed(caption));
    assert_eq!(document.condition, Condition::Unconditional, "the picture keeps its own");
    assert_ne!(**document.stack(), completed("a person"));
    desk.harness.get_by_label("As in the rest of the picture, without a condition");
}
