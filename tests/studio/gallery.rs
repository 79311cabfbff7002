//! Images of the session and of folders: selected, opened, compared, saved, dropped in again.

use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use eframe::egui::Vec2;
use egui_kittest::kittest::{NodeT, Queryable};
use image::codecs::png::PngDecoder;
use image::{AnimationDecoder, DynamicImage, RgbImage};
use residua::app::Start;
use residua::app::gallery::Item;
use residua_core::codes::{CodeStack, npy};
use residua_io::image_io::Picture;
use residua_metrics::psnr::psnr;
use residua_protocol::{Condition, Recipe, Writing};

use crate::desk::{Desk, SMALL_RQVAE, small};
use crate::sampled::{CLASS, made, provenance, sample};

/// A studio that has sampled two images with seed 7.
fn two_sampled() -> Desk {
    let mut desk = Desk::new();
    desk.enter("Seed", 7.0);
    desk.enter("Pictures", 2.0);
    desk.click("Generate (Ctrl+Enter)");
    desk
}

fn item<'a>(desk: &'a Desk, name: &str) -> &'a Item {
    desk.state().gallery.items.iter().find(|item| item.name == name).expect(name)
}

fn can(desk: &Desk, name: &str) -> bool {
    !desk.harness.get_by_label(name).accesskit_node().is_disabled()
}

fn open_codes(desk: &Desk) -> CodeStack {
    (**desk.state().document.as_ref().expect("open").stack()).clone()
}

fn notice(desk: &Desk) -> String {
    desk.state().log.notice.as_ref().expect("said").text.clone()
}

#[test]
fn two_images_are_compared_saved_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = two_sampled();
    assert!(!can(&desk, "Compare") && !can(&desk, "Remove"));
    desk.click("7-0");
    assert!(!can(&desk, "Compare") && can(&desk, "Save PNG…"));
    desk.click("7-1");
    desk.click("Compare");
    let (a, b) = (item(&desk, "7-0").clone(), item(&desk, "7-1").clone());
    let (a_codes, b_codes) = (a.stack.as_ref().unwrap(), b.stack.as_ref().unwrap());
    let differing = a_codes.codes().iter().zip(b_codes.codes()).filter(|(a, b)| a != b).count();
    let decibels = psnr(&a.picture, &b.picture).unwrap();
    let summary = format!("{differing} of 256 codes differ; PSNR {decibels:.2} dB");
    assert!(desk.harness.query_by_label(&summary).is_some(), "{summary}");
    desk.click("Close the comparison");
    assert!(desk.harness.query_by_label(&summary).is_none());

    let at = |name: &str| folder.path().join(name);
    let state = &mut desk.harness.state_mut().state;
    state.save_item(&b, &at("one.png"));
    state.write(&at("one.npy"), Writing::Codes(b_codes.clone()));
    state.export_grid(&[a, b.clone()], &at("grid.png"));
    desk.settle();
    let saved = provenance(&at("one.png"));
    assert_eq!(saved.codes.as_ref(), b.stack.as_deref());
    let mut recipe = Recipe::from_json(&saved.recipe.unwrap()).unwrap();
    let own = b.recipe.as_deref().unwrap();
    // A file names models relative to its folder.
    assert_ne!(recipe.rqvae.name, own.rqvae.name);
    recipe.rqvae.name.clone_from(&own.rqvae.name);
    recipe.sampling.as_mut().unwrap().rqtransformer.name =
        own.sampling.as_ref().unwrap().rqtransformer.name.clone();
    assert_eq!(recipe, *own);
    assert_eq!(Picture::read(&at("one.png")).unwrap().to_rgb8(), b.picture.to_rgb8());
    assert_eq!(npy::load(&at("one.npy")).unwrap(), [(**b_codes).clone()]);
    let grid = Picture::read(&at("grid.png")).unwrap();
    assert_eq!((grid.width(), grid.height()), (32 + 2 + 32, 32));
    let right = grid.crop(34, 0, 32, 32).unwrap();
    assert_eq!(right.to_rgb8(), b.picture.to_rgb8(), "in the order of selection");

    desk.click("7-0");
    desk.click("Remove");
    assert!(desk.harness.query_by_label("7-1").is_none());
    assert_eq!(desk.state().gallery.items.len(), 1);
    assert!(desk.harness.query_by_label("1 picture, 0 selected").is_some());
    // A file in place of a folder.
    desk.harness.state_mut().state.save_item(&b, &at("one.npy").join("a.png"));
    desk.settle();
    assert!(notice(&desk).contains("one.npy"), "{}", notice(&desk));
}

#[test]
fn an_image_is_opened_and_its_recipe_restored() {
    let mut desk = two_sampled();
    let recipe = item(&desk, "7-1").recipe.clone().unwrap();
    let codes = (**item(&desk, "7-1").stack.as_ref().unwrap()).clone();
    desk.enter("Class number", CLASS.into());
    desk.enter("Temperature at all depths", 0.5);
    desk.click("7-1");
    desk.click("Open in the editor");
    assert_eq!(open_codes(&desk), codes);
    let chosen = Condition::Class(CLASS.to_string());
    assert_eq!(desk.state().condition, chosen, "opening does not restore the recipe");
    desk.click("Restore recipe");
    let sampling = recipe.sampling.as_ref().unwrap();
    assert_eq!(desk.state().condition, sampling.condition);
    assert_eq!(desk.state().filters().draft, sampling.filters);
    assert_eq!(desk.state().settings.seed, 7);

    let first = (**item(&desk, "7-0").stack.as_ref().unwrap()).clone();
    desk.double_click("7-0");
    assert_eq!(open_codes(&desk), first, "a double click opens");
}

#[test]
fn a_dropped_image_from_the_command_line_restores_its_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let made = sample(folder.path(), 1 << 60, 2, &["--temperature", "0.5,1,1.5,2"]);
    let path = folder.path().join("001.png");
    let mut desk = Desk::new();
    desk.drop_file(&path);
    let check = |desk: &Desk| {
        let state = desk.state();
        assert_eq!(open_codes(desk), made[1]);
        assert_eq!(state.condition, Condition::Class(CLASS.to_string()));
        assert_eq!(state.document.as_ref().unwrap().condition, state.condition);
        assert_eq!((state.settings.seed, state.settings.seed_locked), (1 << 60, true));
        assert_eq!([0, 1, 2, 3].map(|depth| state.filters().draft[depth].temperature), [0.5, 1.0, 1.5, 2.0]);
        let shown = desk.harness.get_by_label("Seed").value();
        assert_eq!(shown.as_deref(), Some("1152921504606846976"), "the seed is shown in full");
    };
    check(&desk);
    // The restored settings reproduce the images.
    desk.enter("Pictures", 2.0);
    desk.click("Generate (Ctrl+Enter)");
    let again = desk.state().gallery.items.iter().map(|item| (**item.stack.as_ref().unwrap()).clone());
    assert_eq!(again.collect::<Vec<_>>(), made);

    let start = Start { file: Some(path), ..small() };
    check(&Desk::with(start, Vec2::new(1280.0, 800.0)));
}

#[test]
fn an_image_without_a_caption_restores_its_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(folder.path(), 1, &["sample", "--seed", "5", "--draft", "2", "--revise", "0"]);
    let mut desk = Desk::first();
    desk.drop_file(&folder.path().join("000.png"));
    assert_eq!(open_codes(&desk), made[0]);
    let state = desk.state();
    assert_eq!((&state.condition, state.settings.seed), (&Condition::Unconditional, 5));
    assert!(state.log.notice.is_none(), "{}", state.log.text());
}

/// Another model's codes may fit, but they mean another image.
#[test]
fn an_image_of_another_model_is_opened_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let made = sample(folder.path(), 7, 1, &[]);
    let mut desk = Desk::first();
    desk.drop_file(&folder.path().join("000.png"));
    assert_eq!(open_codes(&desk), made[0]);
    let text = "000.png was made with another RQ-VAE, ";
    let warned = desk.state().log.lines().any(|line| line.text.contains(text));
    assert!(warned, "{}", desk.state().log.text());
}

#[test]
fn a_broken_file_is_reported_in_the_status_bar() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path(), 7, 1, &[]);
    let path = folder.path().join("000.png");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let mut desk = Desk::new();
    let before = open_codes(&desk);
    desk.drop_file(&path);
    let message = notice(&desk);
    assert!(message.starts_with("000.png: the PNG picture cannot be decoded"), "{message}");
    assert!(desk.harness.query_by_label(&message).is_some());
    assert_eq!(open_codes(&desk), before);
    desk.click("Dismiss");
    assert!(desk.harness.query_by_label(&message).is_none());
}

#[test]
fn a_folder_is_shown_with_codes_and_recipes_of_its_images() {
    let folder = tempfile::tempdir().unwrap();
    let made = sample(folder.path(), 7, 2, &[]);
    std::fs::write(folder.path().join("broken.png"), b"no picture").unwrap();
    let mut desk = Desk::new();
    desk.harness.state_mut().state.show_folder(folder.path());
    desk.settle();
    let names: Vec<&str> = desk.state().gallery.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["000.png", "001.png", "sheet.png"]);
    assert!(notice(&desk).starts_with("broken.png: "), "{}", notice(&desk));
    assert!(desk.harness.query_by_label(&notice(&desk)).is_some());
    let stacks: Vec<_> = desk.state().gallery.items.iter().filter_map(|item| item.stack.as_deref()).collect();
    assert_eq!(stacks, made.iter().collect::<Vec<_>>());
    desk.click("sheet.png");
    assert!(can(&desk, "Restore recipe") && !can(&desk, "Save .npy…"));
    desk.click("sheet.png");
    desk.click("001.png");
    desk.click("Open in the editor");
    assert_eq!(open_codes(&desk), made[1]);

    // Another folder replaces it; the session's images stay.
    desk.enter("Pictures", 1.0);
    desk.click("Generate (Ctrl+Enter)");
    let other = tempfile::tempdir().unwrap();
    desk.harness.state_mut().state.show_folder(other.path());
    desk.settle();
    assert_eq!(desk.state().gallery.items.len(), 1);
    assert!(notice(&desk).ends_with("no pictures in this folder"), "{}", notice(&desk));
}

/// The frames of an animated PNG, as another crate decodes them.
fn frames(path: &Path) -> Vec<RgbImage> {
    let bytes = std::fs::read(path).unwrap();
    let frames = PngDecoder::new(Cursor::new(bytes)).unwrap().apng().unwrap().into_frames();
    let frames = frames.collect_frames().unwrap().into_iter();
    frames.map(|frame| DynamicImage::from(frame.into_buffer()).into_rgb8()).collect()
}

/// The frames with these settings are those of the command line.
#[test]
fn two_pictures_are_morphed_in_each_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut desk = two_sampled();
    desk.click("7-0");
    assert!(!can(&desk, "Morph…"));
    desk.click("7-1");
    for name in ["7-0", "7-1"] {
        let item = item(&desk, name).clone();
        desk.harness.state_mut().state.save_item(&item, &at(&format!("{name}.png")));
    }
    desk.harness.state_mut().state.settings.seed = 3;
    for (name, order) in
        [("From the middle outward", "distance"), ("Row by row", "raster"), ("In random order", "random")]
    {
        desk.click("Morph…");
        desk.click(name);
        desk.enter("Frames", 5.0);
        desk.enter("Time per frame", 40.0);
        // The button to save opens the system's dialog.
        let plan = desk.harness.state().views.gallery.morph.clone().expect("the settings are open");
        assert_eq!(plan.milliseconds, 40);
        desk.harness.state_mut().state.morph_to(plan, &at("morph.png"));
        desk.settle();
        let seed: &[&str] = if order == "random" { &["--seed", "3"] } else { &[] };
        let done = Command::new(env!("CARGO_BIN_EXE_residua"))
            .args(["morph", "7-0.png", "7-1.png", "--frames", "5", "--order", order, "--device", "cpu"])
            .args(["--force", "--out", "expected.png"])
            .args(seed)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let found = frames(&at("morph.png"));
        assert_eq!(found.len(), 5);
        assert!(found == frames(&at("expected.png")), "{name}");
        for (frame, end) in [(&found[0], "7-0"), (&found[4], "7-1")] {
            assert!(*frame == item(&desk, end).picture.to_rgb8(), "{name} ends at {end}");
        }
        desk.click("Close the morph");
        assert!(!desk.shows("Frames"));
    }
}

/// The ends are given; between them, the cells where the two pictures meet are revised.
#[test]
fn a_contextual_model_fits_the_frames_of_a_morph() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut desk = two_sampled();
    desk.click("7-0");
    desk.click("7-1");
    let morphed = |desk: &mut Desk, name: &str| {
        let mut plan = desk.state().morph_plan().expect("two pictures are chosen");
        plan.morph.frames = 5;
        desk.harness.state_mut().state.morph_to(plan, &at(name));
        desk.settle();
        frames(&at(name))
    };
    let plain = morphed(&mut desk, "plain.png");
    crate::contextual::write(&at("model"), &crate::contextual::config(64));
    let place = at("model").display().to_string();
    desk.harness.state_mut().state.load(&place, Some(SMALL_RQVAE.into()));
    desk.settle();
    desk.click("Morph…");
    assert!(desk.shows("In each frame, the model revises the cells where the two pictures meet."));
    let fitted = morphed(&mut desk, "fitted.png");
    assert!(fitted[0] == plain[0] && fitted[4] == plain[4]);
    assert!((1..4).all(|frame| fitted[frame] != plain[frame]));
}

#[test]
fn the_gallery_scrolls_to_the_latest_images() {
    let mut desk = Desk::new();
    desk.enter("Pictures", 40.0);
    desk.click("Generate (Ctrl+Enter)");
    assert!(desk.harness.query_by_label("0-0").is_none(), "images out of view are not drawn");
    desk.click("0-38");
    assert_eq!(desk.state().gallery.chosen, [38]);
}
