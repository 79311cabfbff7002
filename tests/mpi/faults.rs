//! Ranks that fail, and ranks that do not belong together.

use std::path::PathBuf;
use std::process::Command;

use super::desk::{Desk, Run};
use super::ranks::{does, mpirun, refusals, run};
use super::training::{desk, metrics};

/// The process of rank `rank` that runs in `desk`'s folder.
fn process(desk: &Desk, rank: usize) -> Option<u32> {
    let folder = desk.path("").canonicalize().unwrap();
    let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_it = |process: &PathBuf| {
        let runs_here = std::fs::read_link(process.join("cwd")).is_ok_and(|place| place == folder);
        let variables = std::fs::read(process.join("environ")).unwrap_or_default();
        runs_here && variables.split(|&byte| byte == 0).any(|found| found == variable.as_bytes())
    };
    let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    all.filter(is_it).find_map(|process| process.file_name()?.to_str()?.parse().ok())
}

/// Runs `line` on two ranks, sends `signal` to one process after some steps, and waits for the end of all.
fn after_signal(desk: &Desk, line: &str, signal: &str, which: impl Fn(&Desk, u32) -> u32) -> Run {
    let mut job = mpirun(desk, &[(2, line)]).spawn().unwrap();
    while metrics(desk, "run").len() < 5 {
        assert_eq!(job.try_wait().unwrap(), None, "{line} ended before the signal");
        std::thread::yield_now();
    }
    let process = which(desk, job.id());
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
    Run::of(job.wait_with_output().unwrap())
}

const ENDLESS: &str =
    "train rqvae stage1.yaml --data data --out run --steps 100000 --test-every 100000 --sheet-every 100000";

#[test]
fn a_killed_rank_ends_the_job_and_the_run_goes_on() {
    let desk = desk();
    let line = format!("{ENDLESS} --save-every 2");
    let run = after_signal(&desk, &line, "-KILL", |desk, _| process(desk, 1).expect("rank 1 runs"));
    assert_ne!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("signal 9"), "{run:?}");
    let taken = metrics(&desk, "run").len();
    does(&desk, 2, &format!("{line} --resume").replace("--steps 100000", &format!("--steps {}", taken + 2)));
    let steps: Vec<u64> = metrics(&desk, "run").iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert!(steps.iter().copied().eq(1..=taken as u64 + 2), "{steps:?}");
}

/// `mpirun` passes the signal on to all ranks.
#[test]
fn a_stopped_job_writes_a_checkpoint() {
    let desk = desk();
    let line = format!("{ENDLESS} --save-every 100000");
    let run = after_signal(&desk, &line, "-USR1", |_, job| job);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(refusals(&run), ["residua: stopped"], "{run:?}");
    let taken = metrics(&desk, "run").len();
    assert!(desk.path(&format!("run/checkpoints/{taken:08}/training.safetensors")).is_file());
}

/// Ranks with another configuration, other pictures or another seed learn something else.
#[test]
fn ranks_that_do_not_belong_together_are_refused() {
    let desk = desk();
    let config = std::fs::read_to_string(desk.path("stage1.yaml")).unwrap();
    desk.write("other.yaml", config.replace("init_lr: 0.0001", "init_lr: 0.0002"));
    let line = "train rqvae stage1.yaml --data data --out run --steps 3";
    for name in ["red-cat.png", "green-cat.png", "orange-cat.png"] {
        desk.copy(&format!("samples/{name}"), &format!("more/{name}"));
    }
    let before = desk.files();
    for (other, name) in [
        (line.replace("stage1.yaml", "other.yaml"), "configuration"),
        (line.replace("--data data", "--data more"), "pictures"),
        (format!("{line} --seed 7"), "options and steps done"),
    ] {
        let run = Run::of(mpirun(&desk, &[(1, line), (1, &other)]).output().unwrap());
        assert_eq!(run.code, Some(2), "{other}: {run:?}");
        let message =
            format!("expected the same {name} on all ranks, found a difference between ranks 0 and 1");
        assert!(matches!(refusals(&run)[..], [only] if only.contains(&message)), "{other}: {run:?}");
        assert_eq!(desk.files(), before, "{other}");
    }
}

/// What all ranks find wrong is said once.
#[test]
fn wrong_requests_are_refused_once() {
    let desk = desk();
    for (line, message) in [
        ("train rqvae none.yaml --data data", "none.yaml"),
        ("train rqvae stage1.yaml --data data --out run --resume", "expected a run folder"),
        ("sample --bulk --captions - --out captions", "--captions: expected a file that all ranks can read"),
        ("info fixtures/rqvae-shared", "run it without mpirun"),
        (
            "eval reconstruction --data data --model fixtures/rqvae-shared --part 0/2",
            "--part: expected none under mpirun",
        ),
    ] {
        let run = run(&desk, 2, line);
        assert!(run.code.is_some_and(|code| code > 0), "{line}: {run:?}");
        assert!(matches!(refusals(&run)[..], [only] if only.contains(message)), "{line}: {run:?}");
        assert_eq!(run.stdout, "", "{line}");
    }
}

/// Only rank 1 cannot read its pictures, so it must say so itself.
#[test]
fn an_error_of_one_rank_ends_all() {
    let desk = desk();
    let line = "train rqvae stage1.yaml --data data --out run --steps 3";
    let other = line.replace("--data data", "--data nowhere");
    let run = Run::of(mpirun(&desk, &[(1, line), (1, &other)]).output().unwrap());
    assert!(run.code.is_some_and(|code| code > 0), "{run:?}");
    assert!(matches!(refusals(&run)[..], [only] if only.starts_with("residua: rank 1: ")), "{run:?}");
    assert!(!desk.path("run").exists());
}
