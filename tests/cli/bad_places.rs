//! Training where something cannot be read or written: one line says what, and nothing is lost.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::brought::{desk, train};
use super::desk::{Desk, Run};
use super::training::metrics;

const LINE: &str = "train rqvae stage1.yaml --data data --sheet-every 100";

/// Runs the program with this many blocks of 512 bytes for each file, as on a full disk.
fn on_a_full_disk(desk: &Desk, blocks: u32, line: &str) -> Run {
    let program = desk.command(line);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(desk.path(""));
    Run::of(command.output().unwrap())
}

#[test]
fn what_is_in_the_way_of_a_run_stays() {
    let desk = desk();
    desk.write("file", "in the way");
    desk.refuses(&format!("{LINE} --steps 1 --out file"), 1, "cannot create file: not a directory");
    desk.refuses(&format!("{LINE} --steps 1 --out file/run"), 1, "cannot create file/run: ");
    for name in ["checkpoints", "sheets"] {
        desk.write(&format!("{name}/{name}"), "in the way");
        let message = format!("cannot create {name}/{name}: not a directory");
        desk.refuses(&format!("{LINE} --steps 1 --out {name}"), 1, &message);
    }
    fs::create_dir_all(desk.path("locked/.lock")).unwrap();
    desk.refuses(&format!("{LINE} --steps 1 --out locked"), 1, "cannot write locked/.lock: ");
    let name = "n".repeat(300);
    desk.refuses(&format!("{LINE} --steps 1 --out {name}"), 1, "cannot create n");
}

#[test]
fn a_cache_that_cannot_be_written_ends_the_start() {
    let desk = desk();
    train(&desk, "--out one --steps 1");
    desk.write("file", "in the way");
    fs::create_dir(desk.path("folder.safetensors")).unwrap();
    let line = "train rqtransformer stage2.yaml --data data --rqvae one --out two --steps 1 --cache";
    for (cache, code, message) in [
        ("file/a.safetensors", 1, "cannot create file/a.safetensors: "),
        ("folder.safetensors", 2, "folder.safetensors: expected a file to write, found a folder"),
    ] {
        desk.refuses(&format!("{line} {cache}"), code, message);
        assert!(!desk.path("two").exists());
    }
    let run = on_a_full_disk(&desk, 2048, &format!("{line} a.safetensors --variations 64"));
    assert!(run.code == Some(1) && run.stderr.contains("a.safetensors: File too large"), "{run:?}");
    assert!(!desk.path("two").exists() && !desk.path("a.safetensors").exists());
}

/// The last whole checkpoint stays, and the run goes on from it once there is space.
#[test]
fn a_full_disk_loses_no_checkpoint() {
    let desk = desk();
    train(&desk, "--out run --steps 2");
    let before = fs::read(desk.path("run/checkpoints/00000002/training.safetensors")).unwrap();
    let line = format!("{LINE} --out run --steps 4 --resume");
    let run = on_a_full_disk(&desk, 64, &line);
    assert!(run.code == Some(1) && run.stderr.contains("File too large"), "{run:?}");
    let left: Vec<_> =
        fs::read_dir(desk.path("run/checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [desk.path("run/checkpoints/00000002")]);
    assert_eq!(fs::read(left[0].join("training.safetensors")).unwrap(), before);
    desk.does(&line);
    assert_eq!(metrics(&desk.path("run")).len(), 4);
}

/// Permissions do not bind root, for whom everything works.
#[test]
fn what_may_not_be_read_or_written_is_named() {
    let desk = desk();
    let permit =
        |name: &str, mode| fs::set_permissions(desk.path(name), Permissions::from_mode(mode)).unwrap();
    desk.write("data/cat/below/p100.png", fs::read(desk.path("data/cat/p000.png")).unwrap());
    permit("data/cat/p002.png", 0);
    permit("data/cat/below", 0);
    let counts = fs::read(desk.path("data/cat/p002.png")).is_err();
    let run = train(&desk, "--out run --steps 8");
    permit("data/cat/below", 0o700);
    if counts {
        run.warns("left out, cannot be read (Permission denied (os error 13)): cat/below");
        run.warns("data/cat/p002.png");
    }
    let line = format!("{LINE} --out run --steps 9 --resume");
    permit("run/.lock", 0o400);
    permit("run", 0o500);
    if counts {
        desk.refuses(&line, 1, "cannot write run/.lock: Permission denied");
    }
    fs::create_dir(desk.path("closed")).unwrap();
    permit("closed", 0o500);
    for line in [
        "sample --model fixtures/rqt-class --class 0 --out closed".to_string(),
        "encode samples/red-cat.png --out closed/a.npy".to_string(),
        format!("{LINE} --steps 1 --out closed/run"),
    ] {
        let run = desk.run(&line);
        if counts {
            run.is_refusal(&line, 1, "Permission denied");
            assert!(fs::read_dir(desk.path("closed")).unwrap().next().is_none(), "{line}");
        } else {
            assert_eq!(run.code, Some(0), "{line}: {run:?}");
        }
    }
    permit("run", 0o700);
    permit("closed", 0o700);
    assert!(desk.path("run/checkpoints/00000008").is_dir());
}
