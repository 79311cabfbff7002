//! Ctrl-C, SIGTERM and SIGHUP: the program exits before it has done all, and leaves only complete files.
#![cfg(unix)]

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use super::brought;
use super::desk::{Desk, Run};
use super::training::{STAGE1, metrics};

/// Runs `line`, interrupts it once `begun` is true, and waits for it to exit.
fn interrupted(desk: &Desk, line: &str, begun: impl Fn() -> bool) -> Run {
    let mut child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !begun() {
        assert_eq!(child.try_wait().unwrap(), None, "{line} ended before it was interrupted");
        std::thread::yield_now();
    }
    send("-INT", &child);
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn interrupted_sampling_leaves_complete_images_or_none() {
    let desk = Desk::new();
    // The folder is created after the models are loaded, when sampling starts.
    let out = desk.path("out");
    let line = "sample --model fixtures/rqt-class --class 0 -n 9000 --out out";
    let run = interrupted(&desk, line, || out.exists());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.ends_with("residua: stopped\n"), "{run:?}");
    let files = desk.files();
    assert!(files.len() < 9000);
    for path in files {
        assert_eq!(path.extension().unwrap(), "png", "{path:?}");
        image::open(&path).unwrap();
    }
}

/// A step of many parts is interrupted between two of them. A finished step would be kept.
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

/// Starts a program as from a terminal: with the usual effect of SIGHUP, which whoever runs these tests may ignore.
const TERMINAL: &[&str] = if cfg!(target_os = "linux") { &["env", "--default-signal=HUP"] } else { &[] };

/// Starts a program as `nohup` does.
const NOHUP: &[&str] = &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];

/// An endless run in the folder `run`, started by `starter`, after it has taken some steps.
fn endless(desk: &Desk, starter: &[&str]) -> Child {
    let line = "train rqvae stage1.yaml --data data --out run --steps 100000 --save-every 100000";
    let program = desk.command(line);
    let words = starter.iter().map(OsStr::new).chain([program.get_program()]).chain(program.get_args());
    let words: Vec<&OsStr> = words.collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(program.get_current_dir().unwrap());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_steps(desk, &mut child, 3);
    child
}

/// Waits until the run in the folder `run` has taken so many `steps`.
fn wait_for_steps(desk: &Desk, child: &mut Child, steps: usize) {
    while metrics(&desk.path("run")).len() < steps {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it was stopped");
        std::thread::yield_now();
    }
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// SIGTERM and SIGHUP, sent once or repeatedly, stop a run as Ctrl-C does.
#[test]
fn a_terminated_run_keeps_its_steps() {
    for signal in ["-TERM", "-HUP", "-XCPU"] {
        let desk = brought::desk();
        let child = endless(&desk, TERMINAL);
        // Meanwhile, no other process can write to the run.
        let line = "train rqvae stage1.yaml --data data --out run --steps 100000 --resume";
        desk.run(line).is_refusal(line, 2, "run: expected an idle run");
        for _ in 0..2 {
            send(signal, &child);
        }
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.ends_with("residua: stopped\n"), "{run:?}");
        let steps = metrics(&desk.path("run")).len();
        assert!(desk.path(&format!("run/checkpoints/{steps:08}/model.safetensors")).is_file(), "{signal}");
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let desk = brought::desk();
    let mut child = endless(&desk, NOHUP);
    send("-HUP", &child);
    let steps = metrics(&desk.path("run")).len();
    wait_for_steps(&desk, &mut child, steps + 3);
    send("-TERM", &child);
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.ends_with("residua: stopped\n"), "{run:?}");
}
