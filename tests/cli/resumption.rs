//! Runs that are resumed after a mishap: damaged files, killed processes, moved weights.

use serde_json::Value;

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

/// A run that was killed or stopped in its last evaluation has its last checkpoint, but neither metrics nor sheet.
#[test]
fn the_last_evaluation_is_made_up_for() {
    let desk = desk();
    let finish =
        |rest: &str| desk.does(&format!("train rqvae stage1.yaml --data data --out run --steps 2 {rest}"));
    finish("");
    let (whole, sheet) = (metrics(&desk.path("run")), desk.path("run/sheets/00000002.png"));
    let drawn = std::fs::read(&sheet).unwrap();
    assert!(whole[1]["held_out_loss"].is_number(), "{whole:?}");
    let same = |found: &Value, expected: &Value, prefix: &str| {
        let expected = expected.as_object().unwrap().iter();
        for (name, value) in expected.filter(|(name, _)| name.starts_with(prefix)) {
            let (found, value) = (found[name].as_f64().unwrap(), value.as_f64().unwrap());
            // Reading and writing a number may change its last digit.
            assert!((found - value).abs() <= 1e-12 * value.abs(), "{name}: {found} {value}");
        }
    };
    let mut stopped = whole[1].clone();
    stopped.as_object_mut().unwrap().retain(|name, _| !name.starts_with("held_out_"));
    for (left, kept) in [(String::new(), "held_out_"), (format!("{stopped}\n"), "")] {
        desk.write("run/metrics.jsonl", format!("{}\n{left}", whole[0]));
        std::fs::remove_file(&sheet).unwrap();
        finish("--resume");
        let found = metrics(&desk.path("run"));
        assert!(found.len() == 2 && found[1]["step"] == 2, "{found:?}");
        same(&found[0], &whole[0], "");
        same(&found[1], &whole[1], kept);
        assert_eq!(std::fs::read(&sheet).unwrap(), drawn);
    }
    // Nothing is made twice.
    desk.write("run/sheets/00000002.png", "as it is");
    finish("--resume");
    assert_eq!(std::fs::read(&sheet).unwrap(), b"as it is");
    assert_eq!(metrics(&desk.path("run")).len(), 2);
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
