//! Models are loaded, described and rejected.

use std::path::Path;

use eframe::egui::Vec2;
use egui_kittest::kittest::Queryable;
use residua::app::Start;
use tempfile::TempDir;

use crate::desk::{Desk, SMALL_RQVAE, autoregressive};

fn desk() -> Desk {
    let mut desk = Desk::first();
    desk.click("Models");
    desk
}

/// An RQ-VAE without a transformer.
fn fixture() -> &'static Path {
    Path::new(SMALL_RQVAE)
}

/// A picture other than the open one.
fn cat() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/samples/red-cat.png"))
}

/// A checkpoint whose weights do not have the widths in its configuration.
fn misfit() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture().join("model.pt"), folder.path().join("model.pt")).unwrap();
    let config = std::fs::read_to_string(fixture().join("config.yaml")).unwrap();
    assert!(config.contains("ch: 32"));
    std::fs::write(folder.path().join("config.yaml"), config.replace("ch: 32", "ch: 64")).unwrap();
    folder
}

/// Types a path and loads that model.
fn load(desk: &mut Desk, place: &Path) {
    desk.harness.get_by_label("Model to load").focus();
    desk.harness.run();
    desk.harness.get_by_label("Model to load").type_text(&place.display().to_string());
    desk.harness.run();
    desk.click("Load");
}

#[test]
fn a_class_conditional_model_is_described() {
    let mut desk = Desk::new();
    desk.click("Models");
    let loaded = desk.state().loaded.as_ref().expect("loaded");
    let parameters = loaded.stage2.as_ref().expect("has a stage 2").parameters;
    // The number of elements in the tensors of the two files, with one of the four equal codebooks.
    assert_eq!((loaded.stage1_parameters, parameters), (1_027_379, 93_472));
    for fact in [
        "not stated",
        "32 x 32 pixels",
        "8 x 8 cells of 4 codes",
        "64 codes, shared by all depths",
        "32, 64, 64; 1 block per level",
        "at 8 x 8",
        "2 layers with 3 heads",
        "1 layer with 3 heads",
        "48",
        "one of 10 classes",
        "CPU",
    ] {
        assert!(desk.shows(fact), "{fact}");
    }
}

/// Its licence asks for credit.
#[test]
fn the_default_model_and_its_authors_are_named() {
    let mut desk = Desk::first();
    desk.click("Models");
    let loaded = desk.state().loaded.as_ref().expect("loaded");
    let parameters = loaded.stage2.as_ref().expect("has a stage 2").parameters;
    assert_eq!((loaded.stage1_parameters, parameters), (3_737_424, 4_415_296));
    for fact in [
        "characters-128",
        "CC BY 4.0, Johan Melin and David Revoy",
        "128 x 128 pixels",
        "1,024 / 1,024 / 1,024 / 1,024 codes, one codebook per depth",
        "64, 96, 128; 1 block per level",
        "none",
        "6 layers with 6 heads",
        "a caption of up to 32 tokens",
    ] {
        assert!(desk.shows(fact), "{fact}");
    }
}

#[test]
fn a_misfit_is_explained_in_full_and_the_old_model_stays() {
    let mut desk = desk();
    let before = desk.state().loaded.clone().expect("loaded");
    let folder = misfit();
    load(&mut desk, folder.path());
    let failure = desk.state().loading.failure.clone().expect("refused");
    assert!(failure.contains("encoder.conv_in.weight") && failure.contains("expected"), "{failure}");
    assert_eq!(desk.state().log.notice.as_ref().expect("grave").text, failure);
    desk.click("Dismiss");
    assert!(desk.shows(&failure), "the panel keeps the full message after the status bar is dismissed");
    assert!(desk.shows("The model below is still in use."));
    assert!(std::sync::Arc::ptr_eq(desk.state().loaded.as_ref().unwrap(), &before));
    let state = &mut desk.harness.state_mut().state;
    state.edit(|document| document.set_code([1, 2], 0, 5));
    desk.settle();
    let document = desk.state().document.as_ref().expect("open");
    assert_eq!(document.seen.as_ref().expect("decoded").stack, *document.stack(), "edits are still decoded");
    assert_eq!(document.seen.as_ref().unwrap().stack.at(1, 2, 0).unwrap(), 5);
    desk.click("Dismiss this report");
    assert!(desk.state().loading.failure.is_none());
}

#[test]
fn a_dropped_model_is_loaded_and_remembered() {
    let mut desk = desk();
    desk.drop_file(fixture());
    let loaded = desk.state().loaded.clone().expect("loaded");
    assert_eq!((loaded.rqvae.ddconfig.resolution, loaded.stage2.is_none()), (32, true));
    assert!(desk.shows("not stated"));
    assert!(desk.shows("None: pictures can be encoded and edited, but not sampled or explained."));
    let place = fixture().display().to_string();
    assert_eq!(desk.state().settings.recent, std::slice::from_ref(&place));
    desk.click("characters-128-ar (bundled)");
    assert_eq!(desk.state().loaded.as_ref().expect("loaded").name, "characters-128-ar");
    assert_eq!(desk.state().document.as_ref().expect("reopened").stack().shape(), [8, 8, 4]);
    desk.harness.get_by_label(&place).scroll_to_me();
    desk.harness.run();
    desk.click(&place);
    assert_eq!(desk.state().loaded.as_ref().expect("loaded").name, place);
}

#[test]
fn a_picture_is_opened_before_the_transformer_is_loaded() {
    let start = Start { in_steps: true, ..Start::default() };
    let mut desk = Desk::begun(start, Vec2::new(1280.0, 800.0));
    while desk.state().document.is_none() {
        assert!(desk.harness.state_mut().state.wait());
        assert!(desk.state().loaded.as_ref().is_none_or(|loaded| loaded.stage2.is_none()));
    }
    desk.harness.run();
    assert!(desk.state().loaded.as_ref().is_some_and(|loaded| loaded.stage2.is_none()));
    let opened = desk.state().document.as_ref().unwrap().stack().clone();
    assert!(desk.shows("The RQ-Transformer is being loaded."));
    desk.settle();
    let loaded = desk.state().loaded.as_ref().unwrap();
    assert_eq!((loaded.name.as_str(), loaded.stage2.is_some()), ("characters-128", true));
    let document = desk.state().document.as_ref().unwrap();
    assert!(std::sync::Arc::ptr_eq(document.stack(), &opened), "the picture is not opened twice");
    assert!(!desk.shows("The RQ-Transformer is being loaded."));
    assert_eq!(desk.state().settings.model, "characters-128");
    desk.click("Generate (Ctrl+Enter)");
    assert!(!desk.state().gallery.items.is_empty());
}

#[test]
fn a_model_of_which_the_transformer_is_to_come_is_reloaded_whole() {
    let start = Start { in_steps: true, ..autoregressive() };
    let mut desk = Desk::begun(start, Vec2::new(1280.0, 800.0));
    let state = &mut desk.harness.state_mut().state;
    while state.loaded.is_none() {
        assert!(state.wait());
    }
    assert!(state.loaded.as_ref().is_some_and(|loaded| loaded.stage2.is_none()));
    state.lost("a test lost the models");
    desk.settle();
    let loaded = desk.state().loaded.as_ref().unwrap();
    assert_eq!((loaded.name.as_str(), loaded.stage2.is_some()), ("characters-128-ar", true));
}

#[test]
fn loading_can_be_stopped() {
    let mut desk = desk();
    let before = desk.state().loaded.clone().expect("loaded");
    let state = &mut desk.harness.state_mut().state;
    // Keeps the engine busy, so that the load is cancelled before it starts.
    state.settings.count = 1000;
    state.generate();
    desk.begin("characters-128-ar (bundled)");
    assert!(desk.state().jobs.called("loading").is_some());
    desk.begin("Stop loading");
    let state = &mut desk.harness.state_mut().state;
    let (sampling, _) = state.jobs.called("sampling").expect("the sampling job is running");
    state.stop(sampling);
    desk.settle();
    assert!(std::sync::Arc::ptr_eq(desk.state().loaded.as_ref().unwrap(), &before));
    assert!(!desk.shows("Stop loading"));
}

#[test]
fn a_picture_that_is_being_opened_survives_the_loss_of_the_models() {
    let mut desk = Desk::new();
    let state = &mut desk.harness.state_mut().state;
    state.open_path(cat());
    while state.jobs.called("encoding").is_none() {
        assert!(state.wait());
    }
    state.lost("a test lost the models");
    desk.settle();
    assert_eq!(desk.state().document.as_ref().expect("a picture is open").name, "red-cat.png");
    let notice = desk.state().log.notice.as_ref().expect("a warning");
    assert_eq!(notice.text, "a test lost the models; reloading the model");
}

#[test]
fn a_file_that_is_still_read_at_the_loss_of_the_models_must_be_opened_again() {
    let mut desk = Desk::new();
    let state = &mut desk.harness.state_mut().state;
    state.open_path(cat());
    state.lost("a test lost the models");
    desk.settle();
    assert_eq!(desk.state().document.as_ref().expect("a picture is open").name, "blue-beard.png");
    let notice = desk.state().log.notice.as_ref().expect("a warning");
    assert_eq!(notice.text, "a test lost the models; reloading the model; open the file again");
}

/// A page does not remember a model from a local file, but its next worker still has the file.
#[test]
fn the_open_model_is_reloaded_even_if_the_settings_name_another() {
    let mut desk = Desk::new();
    let state = &mut desk.harness.state_mut().state;
    let code = state.document.as_ref().unwrap().stack().at(1, 2, 0).unwrap();
    state.edit(|document| document.set_code([1, 2], 0, (code + 1) % 64));
    let edited = state.document.as_ref().unwrap().stack().clone();
    let before = state.loaded.as_ref().unwrap().name.clone();
    state.settings.model = "characters-128-ar".into();
    state.lost("a test lost the models");
    desk.settle();
    assert_eq!(desk.state().loaded.as_ref().unwrap().name, before);
    assert_eq!(desk.stack(), edited);
    let document = desk.state().document.as_ref().unwrap();
    assert!(document.undoable().is_some() && document.decoded().is_some());
}
