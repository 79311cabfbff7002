//! Runs that are resumed after a mishap: damaged files, killed processes, moved weights.

use super::brought::{desk, train};
use super::training::{JUDGES, STAGE1, metrics};

/// A damaged file of a run is named, with what to do.
#[test]
fn a_damaged_run_says_how_to_go_on() {
    let desk = desk();
    train(&desk, "--out run --steps 4 --save-every 2");
    let line = "train rqvae stage1.yaml --data data --out run --steps 6 --resume";
    let last = "run/checkpoints/00000004";
    for name in ["model.safetensors", "training.safetensors"] {
        let whole = std::fs::read(desk.path(&format!("{last}/{name}"))).unwrap();
        for bytes in [&whole[..whole.len() / 2], b""] {
            desk.write(&format!("{last}/{name}"), bytes);
            let message = format!("to resume from the checkpoint before it, delete {last}");
            desk.refuses(line, 1, &message);
        }
        desk.write(&format!("{last}/{name}"), whole);
    }
    let record = std::fs::read(desk.path("run/run.json")).unwrap();
    for bytes in [&record[..9], b""] {
        desk.write("run/run.json", bytes);
        desk.refuses(line, 1, "run/run.json: expected the record of a run, found a damaged one");
    }
    desk.write("run/run.json", record);
    std::fs::remove_dir_all(desk.path(last)).unwrap();
    desk.does(line);
    assert_eq!(metrics(&desk.path("run")).len(), 6);
}

/// A process that was killed while it wrote a checkpoint leaves a part of it.
#[test]
fn parts_of_checkpoints_are_removed() {
    let desk = desk();
    train(&desk, "--out run --steps 2");
    for step in [3, 4] {
        desk.write(&format!("run/checkpoints/{step:08}.part/model.safetensors"), b"half");
    }
    train(&desk, "--out run --steps 4 --resume");
    let left = std::fs::read_dir(desk.path("run/checkpoints")).unwrap();
    let mut left: Vec<String> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["00000002", "00000004"]);
    assert_eq!(metrics(&desk.path("run")).len(), 4);
}

/// The sheet comes after the checkpoint: here it cannot be written, because a folder has its name.
#[test]
fn a_run_that_ends_while_it_draws_has_its_last_checkpoint() {
    let desk = desk();
    train(&desk, "--out run --steps 1");
    std::fs::create_dir(desk.path("run/sheets/00000002.png")).unwrap();
    let run = desk.run("train rqvae stage1.yaml --data data --out run --steps 2 --resume");
    assert!(
        run.code == Some(2) && run.stderr.contains("run/sheets/00000002.png: expected a file"),
        "{run:?}"
    );
    assert!(desk.path("run/checkpoints/00000002/training.safetensors").is_file());
}

#[test]
fn lpips_weights_that_moved_are_asked_for() {
    let desk = desk();
    desk.write("judged.yaml", format!("{STAGE1}{JUDGES}"));
    for name in ["vgg16.pth", "lin.pth"] {
        desk.copy(&format!("fixtures/lpips/{name}"), &format!("weights/{name}"));
    }
    let line = |rest: &str| format!("train rqvae judged.yaml --data data --out run --sheet-every 100 {rest}");
    desk.does(&line("--steps 1 --lpips weights/vgg16.pth --lpips weights/lin.pth"));
    std::fs::rename(desk.path("weights"), desk.path("moved")).unwrap();
    let message = "expected LPIPS weights, which the configuration names, found no file: name their file";
    desk.refuses(&line("--steps 2 --resume"), 2, message);
    desk.does(&line("--steps 2 --resume --lpips moved/vgg16.pth --lpips moved/lin.pth"));
    // It remembers the new place.
    desk.does(&line("--steps 3 --resume"));
}
