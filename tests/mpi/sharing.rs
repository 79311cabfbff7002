//! Sampling and evaluation on several ranks make the files and the figures of one process.

use super::desk::Desk;
use super::inception;
use super::ranks::{does, json};
use super::sameness::{assert_same, contents};

#[test]
fn ranks_sample_the_files_of_one_process() {
    let desk = Desk::new();
    let line = "sample --bulk --model fixtures/rqt-class --seed 4 -n 3";
    let whole = desk.json(&format!("{line} --out whole"));
    for count in [2, 3] {
        let out = format!("of-{count}");
        let found = json(&desk, count, &format!("{line} --out {out}"));
        assert_eq!(found["made"], whole["made"]);
        assert_eq!(contents(&desk, &out), contents(&desk, "whole"));
    }
    // Nothing is sampled twice.
    assert_eq!(json(&desk, 2, &format!("{line} --out of-3"))["made"], 0);
}

/// Inception takes about a second for each picture, so there are few.
#[test]
fn ranks_measure_the_figures_of_one_process() {
    let desk = Desk::new();
    for name in ["brown-bun.png", "green-cat.png", "red-cat.png"] {
        desk.copy(&format!("samples/{name}"), &format!("data/{name}"));
    }
    desk.write("data/broken.png", b"no picture");
    desk.write("inception.safetensors", inception::weights());
    let given = "--data data --inception inception.safetensors";
    let before = desk.files();
    for line in [
        "eval reconstruction --data data --model fixtures/rqvae-shared".to_string(),
        "eval likelihood --data data --model fixtures/rqt-class --unlabelled".to_string(),
        format!("eval rfid {given} --model fixtures/rqvae-shared"),
        format!("eval fid {given} --samples data --splits 2"),
        format!("eval fid {given} --model fixtures/rqt-class --seed 3 -n 3"),
    ] {
        assert_same(&json(&desk, 2, &line), &desk.json(&line), &line);
    }
    assert_eq!(desk.files(), before, "no sums are left");
    // People see each line once.
    let line = "eval reconstruction --data data --model fixtures/rqvae-shared";
    assert_eq!(does(&desk, 2, line).stdout.lines().count(), desk.does(line).stdout.lines().count());
}
