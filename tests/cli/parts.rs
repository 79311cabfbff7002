//! `--part` and `eval merge`: several processes make the files and the figures that one makes.

use super::desk::{Desk, Run};
use super::evaluation::{SAMPLES, write_inception};
use super::made_up::{MadeUp, golden};
use super::revision::contextual;
use super::sameness::{assert_same, contents};

/// Runs `line` for each of `count` parts, all at once.
fn in_parts(desk: &Desk, line: &str, count: u32) {
    let start = |part| {
        let mut command = desk.command(&format!("{line} --part {part}/{count}"));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..count).map(start).collect();
    for process in running {
        let run = Run::of(process.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
    }
}

/// Asserts that the merged figures of two and of three parts are those of one process.
fn same_in_parts(desk: &Desk, line: &str) {
    let whole = desk.json(line);
    for count in [2, 3] {
        let sums: Vec<String> = (0..count).map(|part| format!("{count}-{part}.sums")).collect();
        for (part, sums) in sums.iter().enumerate() {
            desk.does(&format!("{line} --part {part}/{count} --sums {sums}"));
        }
        // In any order.
        let files = sums.iter().rev().map(String::as_str).collect::<Vec<_>>().join(" ");
        assert_same(&desk.json(&format!("eval merge {files}")), &whole, line);
        let said = desk.does(&format!("eval merge {files}")).stdout;
        assert_eq!(said.lines().count(), desk.does(line).stdout.lines().count(), "{said}");
        sums.iter().for_each(|sums| std::fs::remove_file(desk.path(sums)).unwrap());
    }
}

/// A folder of four pictures, one file that is not a picture, and captions.
fn pictures() -> Desk {
    let desk = Desk::new();
    SAMPLES[..4].iter().for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    desk.write("data/broken.png", b"no picture");
    let captions = SAMPLES[..4].iter().map(|name| format!("{name}\ta picture of {name}\n"));
    desk.write("data/captions.tsv", captions.collect::<String>());
    desk
}

#[test]
fn parts_sample_the_files_of_one_process() {
    let desk = Desk::new();
    let line = "sample --bulk --model fixtures/rqt-class --seed 4 -n 3";
    desk.does(&format!("{line} --out whole"));
    let whole = contents(&desk, "whole");
    assert!(whole.contains_key("codes.npy") && whole.len() > 20, "{:?}", whole.keys());
    // At once, into one folder.
    in_parts(&desk, &format!("{line} --out shared"), 3);
    assert_eq!(contents(&desk, "shared"), whole);
    // In turn: the last one writes the lists.
    desk.does(&format!("{line} --out turns --part 1/2"));
    let half = contents(&desk, "turns");
    assert!(!half.contains_key("codes.npy") && half.contains_key("000001.png"), "{:?}", half.keys());
    assert!(!half.contains_key("000000.png"), "{:?}", half.keys());
    // A part resumes, and another number of parts continues from it.
    std::fs::remove_file(desk.path("turns/000003.png")).unwrap();
    assert_eq!(desk.json(&format!("{line} --out turns --part 1/2"))["made"], 1);
    in_parts(&desk, &format!("{line} --out turns"), 4);
    assert_eq!(contents(&desk, "turns"), whole);
    desk.refuses(
        "sample --bulk --model fixtures/rqt-class --seed 5 -n 3 --out turns --part 0/2",
        2,
        "expected samples of this model",
    );
}

#[test]
fn parts_with_captions_list_all_of_them() {
    let desk = Desk::new();
    desk.write("captions.txt", "a red cat\na blue dog\na green bird\n");
    let line = "sample --bulk --captions captions.txt --model characters-128-ar -n 1";
    desk.does(&format!("{line} --out whole"));
    for part in ["0/2", "1/2"] {
        desk.does(&format!("{line} --out parts --part {part}"));
    }
    assert_eq!(contents(&desk, "parts"), contents(&desk, "whole"));
}

#[test]
fn merged_reconstructions_are_those_of_one_process() {
    let desk = pictures();
    let lpips = "--lpips fixtures/lpips/vgg16.pth --lpips fixtures/lpips/lin.pth";
    same_in_parts(&desk, &format!("eval reconstruction --data data --model fixtures/rqvae-shared {lpips}"));
}

#[test]
fn merged_likelihoods_are_those_of_one_process() {
    let desk = pictures();
    same_in_parts(&desk, "eval likelihood --data data --model fixtures/rqt-class --unlabelled");
    let desk = contextual();
    SAMPLES[..4].iter().for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    desk.write("data/broken.png", b"no picture");
    let model = "--model contextual --rqvae fixtures/rqvae-shared";
    same_in_parts(&desk, &format!("eval likelihood --data data --unlabelled {model}"));
}

#[test]
fn merged_scores_are_those_of_one_process() {
    let desk = pictures();
    MadeUp::of(&golden("clip.json")).write(&desk.path("clip.safetensors"));
    same_in_parts(&desk, "eval clip --data data --clip clip.safetensors");
}

/// Inception takes about a second for each picture, so there are two parts and few pictures.
#[test]
fn merged_distances_are_those_of_one_process() {
    let desk = pictures();
    write_inception(&desk, "inception.safetensors");
    let given = "--data data --limit 3 --inception inception.safetensors";
    let sampled = "--model fixtures/rqt-class --seed 3";
    desk.does(&format!("eval statistics {given} --out reference.npz"));
    for line in [
        format!("eval rfid {given} --model fixtures/rqvae-shared"),
        format!("eval fid {given} --samples data --splits 2"),
        format!("eval fid --data reference.npz --inception inception.safetensors {sampled} -n 3"),
        format!("eval samples {given} {sampled} -n 2 --sweep top-k=1,40 --out kept"),
    ] {
        in_parts(&desk, &line, 2);
        let command = line.split(' ').nth(1).unwrap();
        let files = format!("{command}-0-of-2.sums {command}-1-of-2.sums");
        assert_same(&desk.json(&format!("eval merge {files}")), &desk.json(&line), &line);
        files.split(' ').for_each(|file| std::fs::remove_file(desk.path(file)).unwrap());
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let desk = pictures();
    let line = "eval reconstruction --data data --model fixtures/rqvae-shared";
    let measure = |options: &str, sums: &str| desk.does(&format!("{line} {options} --sums {sums}"));
    measure("--part 0/2", "a.sums");
    measure("--part 1/2", "b.sums");
    measure("--part 1/3", "third.sums");
    measure("--part 1/2 --limit 3", "limit.sums");
    measure("--part 1/2 --split train", "split.sums");
    desk.does(
        "eval reconstruction --data data --model fixtures/rqvae-per-depth --part 1/2 --sums model.sums",
    );
    let likelihood = "eval likelihood --data data --model fixtures/rqt-class --unlabelled";
    desk.does(&format!("{likelihood} --part 1/2 --sums command.sums"));
    desk.copy("samples/green-cat.png", "data/new.png");
    measure("--part 1/2", "data.sums");
    let whole = std::fs::read(desk.path("b.sums")).unwrap();
    desk.write("cut.sums", &whole[..whole.len() - 1]);
    desk.write("other.sums", "{}\n");
    for (files, code, message) in [
        ("a.sums third.sums", 2, "third.sums: expected number of parts 2 as in a.sums, found 3"),
        ("a.sums limit.sums", 2, "limit.sums: expected pictures \""),
        ("a.sums split.sums", 2, "split.sums: expected split \"all\" as in a.sums, found \"train\""),
        ("a.sums model.sums", 2, "model.sums: expected model \""),
        ("a.sums command.sums", 2, "command.sums: expected command \"reconstruction\" as in a.sums"),
        ("a.sums data.sums", 2, "data.sums: expected pictures \""),
        ("a.sums", 2, "expected all 2 parts, found none with --part 1/2"),
        ("b.sums", 2, "expected all 2 parts, found none with --part 0/2"),
        ("a.sums b.sums a.sums", 2, "expected each part once, found part 0/2 in a.sums and in a.sums"),
        (
            "a.sums cut.sums",
            1,
            "cut.sums: expected sums with the hash in its first line, found a damaged file",
        ),
        ("a.sums other.sums", 1, "other.sums: expected sums written by `residua eval` with --part"),
        (
            "a.sums data/blue-beard.png",
            1,
            "blue-beard.png: expected sums written by `residua eval` with --part",
        ),
        ("a.sums none.sums", 1, "none.sums"),
    ] {
        desk.refuses(&format!("eval merge {files}"), code, message);
    }
    desk.refuses(&format!("{line} --part 0/2 --sums a.sums"), 2, "a.sums already exists");
    measure("--part 0/2 --force", "a.sums");
}
