//! The real program trains, describes and samples the published models. Only sizes and the number of epochs
//! are changed in their configurations.

use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use serde_json::{Value, json};

use super::desk::{Desk, Run, given};
use super::training::metrics;

/// A text of a configuration, and what replaces it.
type Size = (&'static str, &'static str);

/// Sizes of both RQ-VAEs. All six levels stay, so a picture has one cell.
const STAGE1: [Size; 8] = [
    ("embed_dim: 256", "embed_dim: 8"),
    ("latent_shape: [ 8, 8, 256 ]", "latent_shape: [ 1, 1, 8 ]"),
    ("code_shape: [ 8, 8, 4 ]", "code_shape: [ 1, 1, 4 ]"),
    ("z_channels: 256", "z_channels: 8"),
    ("resolution: 256", "resolution: 32"),
    ("ch: 128", "ch: 32"),
    ("ndf: 64", "ndf: 8"),
    (" batch_size: 32", " batch_size: 8"),
];

/// Sizes of both transformers.
const STAGE2: [Size; 3] = [
    ("block_size: [ 8, 8, 4 ]", "block_size: [ 1, 1, 4 ]"),
    ("input_embed_dim: 256", "input_embed_dim: 8"),
    ("n_layer: 4", "n_layer: 1"),
];

/// Numbers of pictures to learn from and of held-out ones.
const PICTURES: [usize; 2] = [11, 1];

fn desk() -> Desk {
    let desk = Desk::new();
    for i in 0..PICTURES.iter().sum::<usize>() {
        let folder = ["rows", "columns"][i % 2];
        let values = (0..3 * 1024).map(|j| ((i * 7 + j) % 50) as f32 / 25.0 - 1.0).collect();
        let path = desk.path(&format!("data/{folder}/{i}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Picture::new(32, 32, values).unwrap().save_png(&path, &Provenance::default()).unwrap();
    }
    desk
}

/// Writes the published configuration `name` with these sizes.
fn shrink(desk: &Desk, name: &str, sizes: &[Size]) {
    let text = std::fs::read_to_string(given(&format!("fixtures/published/{name}.yaml"))).unwrap();
    let small = sizes.iter().fold(text, |text, &(published, small)| {
        assert_eq!(text.matches(published).count(), 1, "{name}: {published}");
        text.replace(published, small)
    });
    desk.write(&format!("{name}.yaml"), small);
}

/// Trains for the epochs of the configuration, two steps in all, and checks that the run says `notes` once
/// each and knows every key.
fn train(desk: &Desk, line: &str, notes: &[&str]) -> Run {
    let run = desk.does(&format!("train {line} --data data"));
    let [pictures, held_out] = PICTURES;
    let begun = format!("{pictures} pictures, {held_out} held out; step 0 of 2");
    for note in notes.iter().chain(&[&*begun]) {
        assert_eq!(run.stderr.matches(note).count(), 1, "{note}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("unknown key"), "{}", run.stderr);
    run
}

/// Trains both stages of `model` with this `augmentation`; `step` says what a step of the second one is.
/// Describes and samples the result, whose default is to draw from `top_k` codes and the mass `top_p`.
fn trains_and_samples(
    model: &str,
    [stage1, stage2]: [&[Size]; 2],
    augmentation: &str,
    step: &str,
    (top_k, top_p): (usize, f64),
    condition: &str,
) {
    let desk = desk();
    shrink(&desk, &format!("{model}-stage1"), &[&STAGE1[..], stage1].concat());
    shrink(&desk, &format!("{model}-stage2"), &[&STAGE2[..], stage2].concat());
    let augmentation = format!("augmentation: {augmentation}, mirrored half the time");
    let run = train(
        &desk,
        &format!("rqvae {model}-stage1.yaml --out one"),
        &[&augmentation, "dropout: none", "arch.checkpointing: ignored", "the perceptual term is off"],
    );
    assert!(!run.stderr.contains("a step is"), "a step has one part: {}", run.stderr);
    let lines = metrics(&desk.path("one"));
    assert!(lines.len() == 2 && lines.iter().all(|line| line["discriminator"].is_number()), "{lines:?}");
    train(
        &desk,
        &format!("rqtransformer {model}-stage2.yaml --rqvae one --out two"),
        &[
            &augmentation,
            "dropout: body.block.resid_pdrop 0.1, head.block.resid_pdrop 0.1",
            step,
            "the published code has no trainer for this stage",
            "experiment.amp: ignored",
        ],
    );
    let lines = metrics(&desk.path("two"));
    assert!(lines.len() == 2 && lines[0]["lr"] == json!(5e-4), "{lines:?}");
    assert!(lines[1]["held_out_perplexity_at_depth_4"].is_number(), "{lines:?}");

    desk.does("info one");
    let info = desk.does("info two").stdout;
    let sampling = format!("temperature 1, top-k {top_k}, top-p {top_p}, guidance none (experiment.sample)");
    assert!(info.contains(&sampling), "{info}");
    desk.does(&format!("sample --model two -n 1 --out sampled {condition}"));
    assert_eq!(desk.pixels("sampled/000.png").dimensions(), (32, 32));
    let filter = json!({ "temperature": 1.0, "top_k": top_k, "top_p": top_p, "guidance": 1.0 });
    assert_eq!(desk.recipe("sampled/000.png")["sampling"]["filters"], json!(vec![filter; 4]));
}

#[test]
fn ffhq_is_trained_and_sampled() {
    trains_and_samples(
        "ffhq",
        [
            &[("n_embed: 2048", "n_embed: 256"), ("epochs: 150", "epochs: 1")],
            &[
                (" vocab_size: 2048", " vocab_size: 256"),
                (" embed_dim: 1024", " embed_dim: 64"),
                ("n_layer: 24", "n_layer: 2"),
                (" batch_size: 32", " batch_size: 2"),
                ("total_batch_size: 128", "total_batch_size: 8"),
                ("epochs: 200", "epochs: 1"),
            ],
        ],
        "a random part of at least 75 % of the area",
        "a step is 8 pictures, in 4 parts of 2",
        (250, 1.0),
        "",
    );
}

/// A step of its second stage has more pictures than there are, so an epoch is one step.
#[test]
fn imagenet_is_trained_and_sampled() {
    trains_and_samples(
        "imagenet",
        [
            &[("n_embed: 16384", "n_embed: 512"), ("epochs: 10", "epochs: 1")],
            &[
                (" vocab_size: 16384", " vocab_size: 512"),
                (" embed_dim: 1536", " embed_dim: 96"),
                ("n_layer: 12", "n_layer: 2"),
                (" batch_size: 32", " batch_size: 1"),
                ("total_batch_size: 2048", "total_batch_size: 64"),
                ("epochs: 100", "epochs: 2"),
            ],
        ],
        "the largest square, anywhere along the longer side",
        "a step is 64 pictures, in 64 parts of 1",
        (16384, 0.92),
        "--class rows",
    );
}

/// A run made of the published trainer's parts (`make_run_golden.py`), step by step: its losses, the adaptive weight,
/// codebooks in moving averages, and two optimizers with schedules of their own.
#[test]
fn stage_1_learns_as_in_the_published_code() {
    let (desk, run) = (Desk::new(), "fixtures/training/run");
    desk.does(&format!("train rqvae {run}/config.yaml --data {run}/data --from {run} --out run --all"));
    let golden = std::fs::read(given(&format!("{run}/metrics.json"))).unwrap();
    let golden: Vec<Value> = serde_json::from_slice(&golden).unwrap();
    let found = metrics(&desk.path("run"));
    assert_eq!((golden.len(), found.len()), (8, 8));
    for (expected, found) in golden.iter().zip(&found) {
        assert_eq!(expected.get("discriminator").is_some(), found.get("discriminator").is_some(), "{found}");
        for (name, expected) in expected.as_object().unwrap() {
            let (number, expected) = (found[name.as_str()].as_f64().unwrap(), expected.as_f64().unwrap());
            // Rounding adds up to 5e-6, with any vector instructions.
            assert!((number - expected).abs() <= 1e-4 * expected.abs(), "{name}: {expected}, found {found}");
        }
    }
}
