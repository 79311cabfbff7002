//! User-supplied data and damaged runs. Each test covers a kind of mishap that users of other tools have
//! reported.

use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use residua_train::data::is_held_out;
use serde_json::Value;

use super::desk::{Desk, Run};
use super::training::{STAGE1, STAGE2, assert_same, kill_after, metrics};

/// The subfolders of `data`.
const CLASSES: [&str; 2] = ["cat", "dog"];

/// A folder `data` with 16 images in two classes, at least one of them held out, and configurations for both
/// stages.
pub fn desk() -> Desk {
    let desk = Desk::new();
    for i in 0..16 {
        write_picture(&desk, &format!("data/{}/p{i:03}.png", CLASSES[i % 2]), i);
    }
    desk.write("stage1.yaml", STAGE1);
    desk.write("stage2.yaml", STAGE2);
    desk
}

fn write_picture(desk: &Desk, name: &str, seed: usize) {
    let values = (0..3 * 256).map(|j| ((seed * 5 + j) % 40) as f32 / 20.0 - 1.0).collect();
    let path = desk.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Picture::new(16, 16, values).unwrap().save_png(&path, &Provenance::default()).unwrap();
}

/// The images in `data` that are held out, or those that are not.
fn pictures(desk: &Desk, held_out: bool) -> Vec<PathBuf> {
    let all = desk.files().into_iter().filter(|path| path.starts_with(desk.path("data")));
    all.filter(|path| is_held_out(path) == held_out).collect()
}

/// Trains stage 1 for some steps.
pub fn train(desk: &Desk, rest: &str) -> Run {
    desk.does(&format!("train rqvae stage1.yaml --data data --sheet-every 100 {rest}"))
}

fn losses(folder: &Path) -> Vec<f64> {
    metrics(folder).iter().map(|line| line["loss"].as_f64().unwrap()).collect()
}

#[test]
fn hidden_files_and_folders_are_skipped() {
    let desk = desk();
    let plain = train(&desk, "--out plain --steps 2");
    for path in pictures(&desk, false).iter().chain(&pictures(&desk, true)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        desk.write(&format!("data/cat/._{name}"), b"resource fork");
        desk.write(&format!("data/__MACOSX/cat/._{name}"), b"resource fork");
        desk.write(&format!("data/.ipynb_checkpoints/{name}"), std::fs::read(path).unwrap());
    }
    desk.write("data/cat/.DS_Store", b"");
    let run = train(&desk, "--out run --steps 2");
    run.warns("18 left out, hidden: .ipynb_checkpoints, __MACOSX, cat/._p000.png");
    let counts = |run: &Run| run.stderr.lines().find(|line| line.contains("held out")).unwrap().to_string();
    assert_eq!(counts(&run), counts(&plain));
    assert_eq!(losses(&desk.path("run")), losses(&desk.path("plain")));
    let run = desk.does("train rqtransformer stage2.yaml --data data --rqvae run --out two --steps 1");
    assert_eq!(run.stderr.matches("left out, hidden").count(), 1, "{run:?}");
    let config: Value =
        serde_json::from_slice(&std::fs::read(desk.path("two/config.yaml")).unwrap()).unwrap();
    assert_eq!(config["classes"], serde_json::json!(CLASSES));
    let found = desk.json("eval likelihood --data data --model two");
    assert_eq!(found["pictures"], 16);
}

#[test]
fn a_bad_image_is_named_and_skipped_in_any_folder() {
    let desk = desk();
    let bad = [true, false].map(|held_out| pictures(&desk, held_out)[0].clone());
    bad.iter().for_each(|path| std::fs::write(path, b"not a picture").unwrap());
    let run = train(&desk, "--out run --steps 12");
    for path in &bad {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(run.stderr.matches(name).count(), 1, "{name}: {run:?}");
    }
    let found = desk.json("eval reconstruction --data data --model run");
    assert_eq!((&found["pictures"], found["left_out"].as_array().unwrap().len()), (&Value::from(14), 2));
}

/// A caption model is not trained without captions. If some are missing, their number is reported.
#[test]
fn missing_captions_are_counted() {
    let desk = desk();
    train(&desk, "--out one --steps 1");
    let text = STAGE2
        .replace("vocab_size_cond: 2", "vocab_size_cond: 5")
        .replace("block_size_cond: 1", "block_size_cond: 4")
        .replace("dataset: {", "dataset: {txt_tok_name: words, words: [a, cat, dog, picture], ");
    desk.write("text.yaml", text);
    let line = "train rqtransformer text.yaml --data data --rqvae one --steps 1 --out two";
    desk.refuses(
        line,
        2,
        "expected a caption for each picture, as the model is conditioned on it, found none for 16 of 16",
    );
    desk.write("data/captions.tsv", "cat/p000.png\ta cat\n./dog/p001.png\ta dog\nnone.png\tgone\n");
    desk.refuses(line, 2, "found none for 14 of 16");
    desk.does(&format!("{line} --unlabelled")).warns("1 left out, captions of missing pictures: none.png");
    let rows = (0..16).map(|i| format!("{}/p{i:03}.png,a picture\r\n", CLASSES[i % 2]));
    desk.write("data/metadata.csv", format!("\u{feff}file_name,text\r\n{}", rows.collect::<String>()));
    desk.does(&line.replace("two", "four")).warns("2 left out, captions of pictures that another table");
    ["captions.tsv", "metadata.csv"]
        .iter()
        .for_each(|name| std::fs::remove_file(desk.path(&format!("data/{name}"))).unwrap());

    // With classes, an image outside the class folders has none.
    write_picture(&desk, "data/p100.png", 100);
    let line = "train rqtransformer stage2.yaml --data data --rqvae one --steps 1 --out three";
    desk.refuses(
        line,
        2,
        "expected a class for each picture, as the model is conditioned on it, found none for 1 of 17",
    );
    desk.refuses("eval likelihood --data data --model two", 2, "expected a caption for each picture");
}

#[test]
fn a_run_that_fails_before_its_first_step_leaves_nothing_behind() {
    let desk = desk();
    train(&desk, "--out one --steps 1");
    write_picture(&desk, "data/mouse/p100.png", 100);
    let line =
        |config: &str| format!("train rqtransformer {config} --data data --rqvae one --out two --steps 1");
    desk.refuses(&line("stage2.yaml"), 1, "vocab_size_cond: expected at least 3");
    assert!(!desk.path("two").exists());
    desk.write("mended.yaml", STAGE2.replace("vocab_size_cond: 2", "vocab_size_cond: 3"));
    desk.does(&line("mended.yaml"));
    // A new run needs an unused folder, and a user's own files are not mistaken for a run.
    desk.refuses(&line("mended.yaml"), 2, "two already holds a run");
    desk.write("mine/config.yaml", STAGE1);
    desk.refuses(
        "train rqvae stage1.yaml --data data --out mine --steps 1",
        2,
        "holds a config.yaml but no run",
    );
    // All remaining images are held out.
    write_picture(&desk, "odd/p007.png", 7);
    desk.refuses("train rqvae stage1.yaml --data odd --out three --steps 1", 2, "all of its 1 held out");
    assert!(!desk.path("three").exists());
}

/// A start neither overwrites a user's files that have the names of a run's, nor removes them if it fails.
#[test]
fn a_start_leaves_a_users_files_alone() {
    let desk = desk();
    let line = "train rqvae stage1.yaml --data data --out mine --steps 1";
    for name in ["metrics.jsonl", "run.json", "stage1/model.safetensors", "sheets/00000001.png"] {
        let path = desk.path(&format!("mine/{name}"));
        desk.write(&format!("mine/{name}"), b"mine");
        desk.refuses(line, 2, &format!("mine holds a {name} but no run"));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(path).unwrap();
    }
    desk.refuses(&format!("{line} --from nowhere"), 1, "nowhere");
    assert!(desk.path("mine/sheets").is_dir() && !desk.path("mine/checkpoints").exists());
    desk.does(line);
}

/// A run's sheets are not data.
#[test]
fn a_run_is_not_trained_on() {
    let desk = desk();
    train(&desk, "--out one --steps 1");
    let line = |data: &str, out: &str| format!("train rqvae stage1.yaml --data {data} --out {out} --steps 1");
    desk.refuses(&line("one", "two"), 2, "one: expected a folder of pictures, found one of a training run");
    desk.refuses(&line("data", "./data"), 2, "expected a folder other than that of the pictures");
    desk.refuses(&line("stage1.yaml", "two"), 2, "stage1.yaml: expected a folder of pictures, found a file");
    // A run below the pictures is left out.
    desk.does(&line("data", "data/run"));
    desk.does(&line("data", "two")).warns("1 left out, folders of training runs: run");
}

/// A run resumes only with its original settings.
#[test]
fn a_run_resumes_only_with_its_own_settings() {
    let desk = desk();
    train(&desk, "--out whole --steps 8 --seed 5 --all");
    train(&desk, "--out half --steps 4 --seed 5 --all");
    std::fs::rename(desk.path("data"), desk.path("moved")).unwrap();
    let line = |rest: &str| format!("train rqvae stage1.yaml --data moved --out half --resume {rest}");
    desk.refuses(&line("--steps 8 --seed 6"), 2, "seed: expected 5, with which half was started, found 6");
    desk.refuses(&line("--steps 3"), 2, "steps: expected 4 or more, the steps that half has done, found 3");
    assert_eq!(desk.run(&line("--steps 0")).code, Some(2));
    desk.write("other.yaml", STAGE1.replace("init_lr: 0.002", "init_lr: 0.001"));
    let other = line("--steps 8").replace("stage1.yaml", "other.yaml");
    desk.refuses(
        &other,
        2,
        "expected optimizer.init_lr 0.002, as in the run's own configuration, found 0.001",
    );
    desk.refuses(&line("--steps 8").replace("stage1.yaml", "none.yaml"), 1, "none.yaml");
    write_picture(&desk, "moved/cat/p100.png", 100);
    desk.refuses(&line("--steps 8"), 2, "expected the 16 pictures that half was trained on so far");
    std::fs::remove_file(desk.path("moved/cat/p100.png")).unwrap();
    desk.does(&line("--steps 8 --sheet-every 100"));
    assert_same(&metrics(&desk.path("half")), &metrics(&desk.path("whole")));
    // All steps are done, which is not an error.
    desk.does(&line(""));
}

/// Options of training that would do nothing are refused.
#[test]
fn options_without_effect_are_refused() {
    let desk = desk();
    let message = "test-every: expected held-out pictures to measure on, found none";
    desk.refuses("train rqvae stage1.yaml --data data --all --test-every 1", 2, message);
    assert_eq!(desk.run("train rqvae stage1.yaml --data data --unlabelled").code, Some(2));
    train(&desk, "--out one --steps 1");
    desk.write("free.yaml", STAGE2.replace("vocab_size_cond: 2", "vocab_size_cond: 1"));
    let line = "train rqtransformer free.yaml --data data --rqvae one --out two --unlabelled";
    desk.refuses(line, 2, "unlabelled: expected a model that takes a class or caption");
    desk.refuses("train rqvae stage1.yaml --data data --out -", 2, "--out: expected a folder for the run");
}

#[test]
fn a_configuration_is_read_from_standard_input() {
    let desk = desk();
    let fed = |line: &str| {
        let config = std::fs::File::open(desk.path("stage1.yaml")).unwrap();
        Run::of(desk.command(line).stdin(config).output().unwrap())
    };
    for rest in ["--steps 1", "--steps 2 --resume"] {
        let run = fed(&format!("train rqvae - --data data --out run {rest}"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let line = "train rqtransformer - --data data --rqvae run --out two";
    fed(line).is_refusal(line, 2, "standard input: expected arch.type rq-transformer, found rq-vae");
}

/// Without a terminal, progress is printed as lines instead of a bar.
#[test]
fn a_run_without_a_terminal_prints_progress_lines() {
    let run = train(&desk(), "--out run --steps 3");
    for line in ["step 1 of 3: loss ", "step 3 of 3: loss "] {
        assert!(run.stderr.contains(line), "{run:?}");
    }
}

/// The runs `v1` of an RQ-VAE and `t1` of a transformer, whose configuration names folders of this machine, and a
/// picture `made/000.png`, decoded to `before.png`.
fn with_transformer() -> Desk {
    let desk = desk();
    train(&desk, "--out v1 --steps 2");
    let root = desk.path("data").display().to_string();
    let placed = STAGE2.replace("dataset: {", &format!("dataset: {{root: {root}, "));
    desk.write("stage2.yaml", format!("{placed}result_path: {root}\n"));
    desk.does("train rqtransformer stage2.yaml --data data --rqvae v1 --out t1 --steps 2 --sheet-every 100");
    desk.does("sample --model t1 --class cat --out made");
    desk.does("decode made/000.png --out before.png");
    desk
}

/// How unlikely the codes of `data` are to the run `t1`, both in the folder `place`.
fn likelihood(desk: &Desk, place: &str) -> Value {
    desk.json(&format!("eval likelihood --data {place}data --model {place}t1"))["nats_per_code"].clone()
}

/// A transformer run keeps a copy of its RQ-VAE, even if the RQ-VAE's run changes.
#[test]
fn a_transformer_run_keeps_its_rqvae() {
    let desk = with_transformer();
    let before = likelihood(&desk, "");
    desk.does("reconstruct data/cat/p000.png --model v1 --out seen");
    desk.does("convert v1 converted.safetensors");

    // Resume the first run until its earlier checkpoint is gone.
    train(&desk, "--out v1 --steps 8 --save-every 2 --resume");
    assert_eq!(likelihood(&desk, ""), before);
    let resumed = "train rqtransformer stage2.yaml --data data --out t1 --steps 3 --sheet-every 100 --resume";
    desk.refuses(
        &format!("{resumed} --rqvae v1"),
        2,
        "v1: expected the RQ-VAE that t1 was trained with so far",
    );
    desk.does(resumed);
    // A converted RQ-VAE is the same one.
    desk.does(&format!("{} --rqvae converted.safetensors", resumed.replace("--steps 3", "--steps 4")));
    desk.does("decode made/000.png --out after.png");
    assert_eq!(desk.pixels("before.png"), desk.pixels("after.png"));
    // An image made with the old v1 is decoded with the new v1, with a warning.
    desk.does("decode seen/p000-reconstruction.png --out now.png").warns("was made with another RQ-VAE");
    // A different RQ-VAE is used on request, with a warning.
    desk.does("sample --model t1 --rqvae v1 --class cat --out other")
        .warns("was trained on the codes of an RQ-VAE other than");
}

/// No file of a run contains an absolute path.
#[test]
fn a_transformer_run_can_be_packed_and_moved() {
    let desk = with_transformer();
    // An archive of the run is the run.
    let packed = std::fs::File::create(desk.path("t1.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(packed, Compression::fast()));
    archive.append_dir_all("t1", desk.path("t1")).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    desk.does("sample --model t1.tar.gz --class cat --out packed");
    assert_eq!(desk.pixels("packed/000.png"), desk.pixels("made/000.png"));

    std::fs::create_dir(desk.path("elsewhere")).unwrap();
    for name in ["data", "t1", "made"] {
        std::fs::rename(desk.path(name), desk.path("elsewhere").join(name)).unwrap();
    }
    std::fs::remove_dir_all(desk.path("v1")).unwrap();
    assert!(likelihood(&desk, "elsewhere/").is_number());
    desk.does("decode elsewhere/made/000.png --out moved.png");
    assert_eq!(desk.pixels("before.png"), desk.pixels("moved.png"));
    let machine = desk.path("").display().to_string();
    for path in desk.files().into_iter().filter(|path| path.starts_with(desk.path("elsewhere"))) {
        let mut bytes = std::fs::read(&path).unwrap();
        let carried = Provenance::read(&bytes).ok().and_then(|provenance| provenance.recipe);
        bytes.extend(carried.unwrap_or_default().bytes());
        let found = bytes.windows(machine.len()).any(|part| part == machine.as_bytes());
        assert!(!found, "{} contains {machine}", path.display());
    }
}

/// The kept RQ-VAE is always the one that the transformer learns from, whatever else lies in its place.
#[test]
fn a_transformer_run_replaces_another_rqvae() {
    let desk = desk();
    train(&desk, "--out v1 --steps 1");
    train(&desk, "--out v2 --steps 1 --seed 2");
    let line = |rqvae: &str, rest: &str| {
        format!("train rqtransformer stage2.yaml --data data --out t --sheet-every 100000 {rqvae} {rest}")
    };
    let endless = line("--rqvae v1", "--steps 100000 --save-every 100000 --test-every 100000");
    kill_after(&desk, &endless, "t", 1);
    // Before its first checkpoint, a run may be started again with another RQ-VAE.
    desk.does(&line("--rqvae v2", "--steps 1"));
    let bytes = |name: &str| std::fs::read(desk.path(name)).unwrap();
    let [v1, v2] = ["v1", "v2"].map(|run| bytes(&format!("{run}/checkpoints/00000001/model.safetensors")));
    assert!(v1 != v2 && bytes("t/stage1/model.safetensors") == v2);
    // A user overwrites it.
    desk.write("t/stage1/model.safetensors", &v1);
    let message = "expected the RQ-VAE that this run learns from, found none or another";
    desk.refuses(&line("", "--steps 2 --resume"), 2, message);
    let message = "v1: expected the RQ-VAE that t was trained with so far";
    desk.refuses(&line("--rqvae v1", "--steps 2 --resume"), 2, message);
    desk.does(&line("--rqvae v2", "--steps 2 --resume"));
    assert!(bytes("t/stage1/model.safetensors") == v2);
}

/// Paths are not always Unicode.
#[test]
#[cfg(target_os = "linux")]
fn a_transformer_run_may_have_any_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let desk = desk();
    train(&desk, "--out one --steps 1");
    let out = OsStr::from_bytes(b"to\xff");
    for line in ["--rqvae one --steps 1", "--steps 2 --resume"] {
        let mut command = desk.command(&format!("train rqtransformer stage2.yaml --data data {line}"));
        let run = Run::of(command.arg("--out").arg(out).output().unwrap());
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let last = Path::new(out).join("checkpoints/00000002");
    assert!(desk.path("").join(last).is_dir());
}

/// Impossible comparisons are rejected before any image is read.
#[test]
fn fid_of_too_few_images_is_rejected_immediately() {
    let desk = desk();
    let eval = |rest: &str| format!("eval fid --data data --inception none.pth {rest}");
    desk.refuses(&eval("-n 1"), 2, "-n: expected at least 2 samples, found 1");
    desk.refuses(&eval("-n 8 --splits 9"), 2, "splits: expected 1 to 8");
    desk.refuses(&eval("--limit 1"), 2, "data: expected at least 2 pictures, found 1");
    desk.refuses(&eval("--class cat"), 1, "none.pth");
}
