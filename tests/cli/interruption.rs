//! Ctrl-C: the program exits soon and leaves only complete files.
#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::brought;
use super::desk::{Desk, Run};
use super::training::STAGE1;

/// Runs `line`, interrupts it once `begun` is true, and waits for it to exit.
fn interrupted(desk: &Desk, line: &str, begun: impl Fn() -> bool) -> Run {
    let mut child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !begun() {
        assert_eq!(child.try_wait().unwrap(), None, "{line} ended before it was interrupted");
        std::thread::yield_now();
    }
    interrupt(&child);
    let since = Instant::now();
    let run = Run::of(child.wait_with_output().unwrap());
    // The complete job would take minutes.
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    run
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn interrupted_sampling_leaves_complete_images_or_none() {
    let desk = Desk::new();
    // The folder is created after the models are loaded, when sampling starts.
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

/// A step of many parts is interrupted between two of them.
#[test]
fn interrupted_training_does_not_finish_a_long_step() {
    let desk = brought::desk();
    let long = STAGE1.replace("batch_size: 4", "batch_size: 4, total_batch_size: 200000");
    desk.write("long.yaml", long);
    let config = desk.path("run/config.yaml");
    let run = interrupted(&desk, "train rqvae long.yaml --data data --out run", || config.exists());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.ends_with("residua: stopped\n"), "{run:?}");
    assert!(!desk.path("run").exists());
}
