//! Files that users open in the studio: damaged, of another kind, or no files at all.

use std::path::Path;

use residua::app::log::Level;
use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;

use crate::desk::Desk;

/// Opens the file at `path`; returns the warning or error that this gives.
fn opened(desk: &mut Desk, path: &Path) -> (Level, String) {
    let state = &mut desk.harness.state_mut().state;
    state.log.clear();
    state.open_path(path);
    desk.settle();
    let notice =
        desk.state().log.notice.as_ref().unwrap_or_else(|| panic!("{}: nothing said", path.display()));
    (notice.level, notice.text.clone())
}

#[test]
fn what_cannot_be_opened_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("folder.png")).unwrap();
    for (name, bytes) in [
        ("empty.png", &b""[..]),
        ("empty.npy", b""),
        ("photo.jpg", b"\0\0\0\x24ftypheic\0\0\0\0"),
        ("page.npy", b"<!DOCTYPE html>"),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
        ("empty.pt", b""),
    ] {
        std::fs::write(at(name), bytes).unwrap();
    }
    let mut named = vec![
        ("folder.png", "expected a file, found a folder"),
        ("missing.png", "cannot read"),
        ("empty.png", "an empty file"),
        ("empty.npy", "found an empty file"),
        ("photo.jpg", "found a HEIC picture: save it as PNG or JPEG"),
        ("page.npy", "found a web page"),
        ("pointer.safetensors", "found a Git LFS pointer"),
        ("empty.pt", "found an empty file"),
    ];
    if cfg!(unix) {
        // Waiting for its other end would block the models. A picture or codes may come through a pipe.
        let name = "pipe.pt";
        assert!(std::process::Command::new("mkfifo").arg(at(name)).status().unwrap().success());
        named.push((name, "it is a pipe or a device: save its content to a file first"));
    }
    let mut desk = Desk::new();
    let before = desk.state().document.as_ref().unwrap().stack().clone();
    for (name, message) in named {
        let (level, text) = opened(&mut desk, &at(name));
        assert_eq!(level, Level::Error, "{text}");
        assert!(text.contains(name) && text.contains(message) && !text.contains('\n'), "{text}");
        assert_eq!(desk.state().document.as_ref().unwrap().stack(), &before);
    }
}

/// The picture is there, so it is opened and encoded.
#[test]
fn damaged_codes_are_said_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.png");
    let codes = CodeStack::new(8, 8, 4, (0..256).map(|place| place * 7 % 64).collect()).unwrap();
    let picture = Picture::new(64, 64, vec![0.5; 3 * 64 * 64]).unwrap();
    let provenance = Provenance { recipe: None, codes: Some(codes.clone()) };
    picture.save_png(&path, &provenance).unwrap();
    let mut desk = Desk::new();
    let document = |desk: &Desk| (**desk.state().document.as_ref().unwrap().stack()).clone();
    desk.harness.state_mut().state.open_path(&path);
    desk.settle();
    assert_eq!(document(&desk), codes);

    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(13).position(|part| part == b"residua:codes").unwrap();
    bytes[at + 40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (level, text) = opened(&mut desk, &path);
    assert_eq!(level, Level::Warning, "{text}");
    assert!(text.starts_with("damaged.png: the picture's text chunk residua:codes cannot be read"), "{text}");
    assert_ne!(document(&desk), codes);
}
