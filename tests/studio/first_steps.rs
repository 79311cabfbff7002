//! What a new user sees.

use std::collections::HashMap;

use eframe::egui::Context;
use eframe::{App, Storage};
use residua::app::{Start, Studio};
use residua_io::image_io::png_text::Provenance;
use residua_protocol::Recipe;

use crate::desk::Desk;

#[test]
fn the_sample_image_is_opened_and_decoded() {
    let desk = Desk::first();
    let state = &desk.harness.state().state;
    let document = state.document.as_ref().expect("the sample image is open");
    let seen = document.seen.as_ref().expect("the image is decoded");
    assert_eq!(seen.stack, *document.stack());
    let (psnr, _) = seen.quality.expect("the document has an original");
    let expected = reconstructed("assets/samples/red-cat.png");
    assert!(expected > 28.0 && (psnr - expected).abs() < 0.01, "{psnr}, the command line prints {expected}");
    assert!(document.layers.is_some());
    assert!(!state.is_busy() && state.log.notice.is_none(), "{:?}", state.log.notice);
}

/// The PSNR that `residua reconstruct` prints for `image`.
fn reconstructed(image: &str) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_residua"))
        .args(["--json", "reconstruct", "--device", "cpu", "--out"])
        .arg(folder.path())
        .arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(image))
        .output()
        .unwrap();
    let result: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    result["psnr"].as_f64().unwrap()
}

/// A saved image carries everything needed to open it again.
#[test]
fn an_edited_image_is_saved_with_its_codes_and_model() {
    let mut desk = Desk::first();
    desk.harness.state_mut().state.edit(|document| document.set_code([2, 5], 1, 9));
    desk.settle();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edited.png");
    desk.save(&path);
    desk.settle();
    let provenance = Provenance::read(&std::fs::read(&path).unwrap()).unwrap();
    let codes = provenance.codes.expect("the PNG carries its codes");
    assert_eq!(codes, **desk.state().document.as_ref().unwrap().stack());
    let recipe = Recipe::from_json(&provenance.recipe.expect("the PNG carries its recipe")).unwrap();
    assert_eq!((recipe.made_by.as_str(), recipe.rqvae.name.as_str()), ("edit", "characters-128"));

    let again = folder.path().join("again.png");
    let decode = std::process::Command::new(env!("CARGO_BIN_EXE_residua"))
        .args(["decode", "--device", "cpu"])
        .arg(&path)
        .arg("--out")
        .arg(&again)
        .output()
        .unwrap();
    assert!(decode.status.success(), "{}", String::from_utf8_lossy(&decode.stderr));
    let pixels = |path| image::open(path).unwrap().into_rgb8();
    assert!(pixels(&path) == pixels(&again), "the command line gives the same pixels");
}

/// In-memory storage for one test.
#[derive(Default)]
pub struct Memory(HashMap<String, String>);

impl Storage for Memory {
    fn get_string(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn set_string(&mut self, key: &str, value: String) {
        self.0.insert(key.into(), value);
    }

    fn remove_string(&mut self, key: &str) {
        self.0.remove(key);
    }

    fn flush(&mut self) {}
}

#[test]
fn settings_and_layout_are_restored_unless_they_are_unreadable() {
    let mut desk = Desk::first();
    desk.harness.state_mut().state.settings.seed = 77;
    desk.harness.state_mut().state.settings.zoom = 1.25;
    let mut memory = Memory::default();
    desk.harness.state_mut().save(&mut memory);
    let again = |memory: &Memory| {
        let engine = residua_engine::studio::start(residua_kernels::device::cpu(), || ());
        Studio::new(&Context::default(), engine, "cpu", Start::default(), Some(memory)).state.settings
    };
    let settings = again(&memory);
    assert_eq!((settings.seed, settings.zoom, settings.model.as_str()), (77, 1.25, "characters-128"));
    memory.0.values_mut().for_each(|value| value.truncate(value.len() / 2));
    assert_eq!(again(&memory), residua::app::Settings::default());
}

#[test]
fn if_the_last_model_is_missing_the_default_one_is_loaded() {
    let mut desk = Desk::new();
    desk.harness.state_mut().state.settings.opened("gone.safetensors", Some("gone too"));
    let mut memory = Memory::default();
    desk.harness.state_mut().save(&mut memory);
    let engine = residua_engine::studio::start(residua_kernels::device::cpu(), || ());
    let mut state = Studio::new(&Context::default(), engine, "cpu", Start::default(), Some(&memory)).state;
    while state.is_busy() && state.wait() {}
    assert_eq!(state.loaded.as_ref().map(|loaded| loaded.name.as_str()), Some("characters-128"));
    assert!(state.document.is_some(), "the sample image is open");
    let said = state.log.lines().any(|line| line.text.contains("gone"));
    assert!(said, "the reason is logged");
}
