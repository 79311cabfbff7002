//! What a new person sees.

use residua::engine::Recipe;
use residua::image_io::png_text::Provenance;

use crate::desk::Desk;

#[test]
fn the_sample_is_open_and_seen() {
    let desk = Desk::new();
    let state = &desk.harness.state().state;
    let document = state.document.as_ref().expect("the sample is open");
    let seen = document.seen.as_ref().expect("it is decoded");
    assert_eq!(seen.stack, *document.stack());
    let (psnr, _) = seen.quality.expect("there is an original");
    assert!((psnr - 22.10).abs() < 0.02, "as `residua reconstruct` prints: {psnr}");
    assert!(document.layers.is_some());
    assert!(!state.is_busy() && state.log.notice.is_none(), "{:?}", state.log.notice);
}

/// The picture that is saved carries what it takes to see it again.
#[test]
fn an_edited_picture_is_saved_with_its_codes_and_its_model() {
    let mut desk = Desk::new();
    desk.harness.state_mut().state.edit(|document| document.set_code([2, 5], 1, 9));
    desk.settle();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edited.png");
    residua::app::files::save_picture_to(&mut desk.harness.state_mut().state, &path);
    let provenance = Provenance::read(&std::fs::read(&path).unwrap()).unwrap();
    let codes = provenance.codes.expect("it carries its codes");
    assert_eq!(codes, **desk.state().document.as_ref().unwrap().stack());
    let recipe = Recipe::from_json(&provenance.recipe.expect("and its recipe")).unwrap();
    assert_eq!((recipe.made_by.as_str(), recipe.rqvae.name.as_str()), ("edit", "emoji-64"));

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
