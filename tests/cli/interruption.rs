//! Ctrl-C: the program ends soon, and what it leaves is whole.
#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::desk::{Desk, Run};

/// Runs `line`, interrupts it once `begun`, and waits for its end.
fn interrupted(desk: &Desk, line: &str, begun: impl Fn() -> bool) -> Run {
    let mut child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !begun() {
        assert_eq!(child.try_wait().unwrap(), None, "{line} ended before it was interrupted");
        std::thread::yield_now();
    }
    interrupt(&child);
    let since = Instant::now();
    let run = Run::of(child.wait_with_output().unwrap());
    // All that was asked for takes minutes.
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    run
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn sampling_keeps_whole_pictures_or_none() {
    let desk = Desk::new();
    // The folder is made when the models are loaded and sampling begins.
    let out = desk.path("out");
    let run = interrupted(&desk, "sample --class 0 -n 9000 --out out", || out.exists());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.ends_with("residua: stopped\n"), "{run:?}");
    let files = desk.files();
    assert!(files.len() < 9000);
    for path in files {
        assert_eq!(path.extension().unwrap(), "png", "{path:?}");
        image::open(&path).unwrap();
    }
}
