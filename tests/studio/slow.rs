//! No frame waits for a file: the window stays usable while one is read or written, however long it takes. The files are
//! pipes, which give nothing until the test writes to them, and take nothing until it reads.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use tempfile::TempDir;

use crate::desk::Desk;

/// A folder with a pipe of this name.
fn pipe(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    (folder, path)
}

/// The bytes of a grey picture in two parts, neither of which is a picture.
fn halves(folder: &Path) -> [Vec<u8>; 2] {
    let path = folder.join("whole.png");
    Picture::new(64, 64, vec![0.5; 3 * 64 * 64]).unwrap().save_png(&path, &Provenance::default()).unwrap();
    let mut first = std::fs::read(path).unwrap();
    let second = first.split_off(first.len() / 2);
    [first, second]
}

/// Opens a pipe to write to it. This waits until the studio's thread has opened it to read.
fn writer(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

fn name(desk: &Desk) -> String {
    desk.state().document.as_ref().expect("a picture is open").name.clone()
}

fn codes(desk: &Desk) -> CodeStack {
    (**desk.state().document.as_ref().expect("a picture is open").stack()).clone()
}

/// Whether the picture of the open codes is shown.
fn is_decoded(desk: &Desk) -> bool {
    let document = desk.state().document.as_ref().expect("a picture is open");
    document.seen.as_ref().is_some_and(|seen| seen.stack == *document.stack())
}

#[test]
fn the_window_and_the_models_work_while_a_file_is_read() {
    let (folder, path) = pipe("slow.png");
    let [first, second] = halves(folder.path());
    let mut desk = Desk::new();
    desk.begin_drop(&path);
    assert!(desk.shows("opening slow.png") && desk.state().is_busy());
    let mut slow = writer(&path);
    slow.write_all(&first).unwrap();
    // Panels change.
    desk.begin("Log and device");
    assert!(desk.shows("Copy all") && desk.shows("opening slow.png"));
    // The open picture is edited and decoded again.
    let other = (codes(&desk).at(2, 5, 1).unwrap() + 1) % 64;
    desk.harness.state_mut().state.edit(|document| document.set_code([2, 5], 1, other));
    assert!(!is_decoded(&desk));
    while !is_decoded(&desk) || desk.state().jobs.count() > 1 {
        assert!(desk.harness.state_mut().state.wait());
    }
    desk.harness.run();
    assert!(desk.shows("opening slow.png") && name(&desk) == "blue-beard.png");
    // Another file is saved.
    let saved = folder.path().join("edited.png");
    desk.save(&saved);
    while !desk.state().log.text().contains("Note: wrote ") {
        assert!(desk.harness.state_mut().state.wait());
    }
    assert!(Picture::read(&saved).is_ok() && name(&desk) == "blue-beard.png");

    slow.write_all(&second).unwrap();
    drop(slow);
    desk.settle();
    assert_eq!(name(&desk), "slow.png");
    assert!(is_decoded(&desk) && desk.shows("Ready"));
    assert!(desk.state().log.notice.is_none(), "{}", desk.state().log.text());
}

#[test]
fn a_read_that_hangs_can_be_cancelled_and_opens_nothing_later() {
    let (folder, path) = pipe("slow.png");
    let [first, second] = halves(folder.path());
    let mut desk = Desk::new();
    let before = codes(&desk);
    desk.begin_drop(&path);
    let mut slow = writer(&path);
    slow.write_all(&first).unwrap();
    desk.begin("Cancel (Esc)");
    assert!(desk.shows("Ready") && !desk.state().is_busy());
    // The thread still reads. What it finds comes too late.
    slow.write_all(&second).unwrap();
    drop(slow);
    desk.harness.run();
    assert!(name(&desk) == "blue-beard.png" && codes(&desk) == before);

    // Nobody ever writes to this pipe. A newer file takes its place.
    let (_folder, never) = pipe("never.npy");
    desk.begin_drop(&never);
    assert!(desk.shows("opening never.npy"));
    desk.drop_file(&folder.path().join("whole.png"));
    assert_eq!(name(&desk), "whole.png");
    assert_ne!(codes(&desk), before);
    assert!(desk.state().log.notice.is_none(), "{}", desk.state().log.text());
}

#[test]
fn a_file_is_saved_beside_everything_else_and_never_cancelled() {
    let (_folder, path) = pipe("slow.png");
    let mut desk = Desk::new();
    desk.save(&path);
    desk.harness.run();
    assert!(desk.shows("saving slow.png"));
    desk.begin("Cancel (Esc)");
    desk.begin("Log and device");
    assert!(desk.shows("Copy all") && desk.shows("saving slow.png"));
    let expected = codes(&desk);
    let bytes = std::fs::read(&path).unwrap();
    desk.settle();
    assert!(desk.shows(&format!("Note: wrote {}", path.display())), "{}", desk.state().log.text());
    assert_eq!(Provenance::read(&bytes).unwrap().codes, Some(expected));
}

#[test]
fn closing_the_studio_waits_for_files_that_are_being_saved() {
    let (_folder, path) = pipe("slow.png");
    let mut desk = Desk::new();
    desk.save(&path);
    let reader = std::thread::spawn(move || std::fs::read(path).unwrap());
    desk.harness.state_mut().state.cancel();
    drop(desk);
    assert!(Provenance::read(&reader.join().unwrap()).unwrap().codes.is_some());
}
