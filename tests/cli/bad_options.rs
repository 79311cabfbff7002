//! Invalid requests give exit code 2 and one line that says what is valid.

use super::desk::Desk;
use super::named;

/// Requests that no model or picture can fulfil, and what the program says.
const IMPOSSIBLE: &[(&str, &str)] = &[
    (
        "sample --model named --class 10",
        "class 10 does not exist: expected a number from 0 to 9 or one of: Birds, Cats & Dogs",
    ),
    ("sample --model named --class pigs", "class pigs does not exist"),
    (
        "sample --model fixtures/rqt-class --class Birds",
        "class Birds does not exist: expected a number from 0 to 9",
    ),
    ("sample --model fixtures/rqt-class", "this model needs a class"),
    ("sample --class 0", "this model needs a caption"),
    ("sample --model fixtures/rqt-class --prompt pig", "this model needs a class"),
    ("sample --model fixtures/rqt-unconditional --class 0", "this model is unconditional"),
    ("sample --model fixtures/rqt-text --class 0", "this model needs a caption"),
    ("sample --model fixtures/rqt-class --class 0 -n 0", "expected 1 to 10000 pictures, found 0"),
    (
        "sample --model fixtures/rqt-class --class 0 -n 4294967295",
        "expected 1 to 10000 pictures, found 4294967295",
    ),
    (
        "sample --model fixtures/rqt-class --class 0 --temperature -1",
        "temperature: expected 0 (greedy) or more, found -1",
    ),
    (
        "sample --model fixtures/rqt-class --class 0 --temperature nan",
        "temperature: expected 0 (greedy) or more, found NaN",
    ),
    (
        "sample --model fixtures/rqt-class --class 0 --temperature inf",
        "temperature: expected 0 (greedy) or more, found inf",
    ),
    ("sample --model fixtures/rqt-class --class 0 --top-p 1.01", "top-p: expected 0 (off) to 1, found 1.01"),
    ("sample --model fixtures/rqt-class --class 0 --top-p -0.1", "top-p: expected 0 (off) to 1, found -0.1"),
    ("sample --model fixtures/rqt-class --class 0 --top-p NaN", "top-p: expected 0 (off) to 1, found NaN"),
    (
        "sample --model fixtures/rqt-class --class 0 --top-k 1,2,3",
        "top-k: expected one value, or 4 for the 4 depths, found 3",
    ),
    (
        "sample --model fixtures/rqt-class --class 0 --temperature 1,1",
        "temperature: expected one value, or 4",
    ),
    ("sample --model fixtures/rqt-class --class 0 --top-p 1,1,1,1,1", "top-p: expected one value, or 4"),
    ("complete samples/red-cat.png --rows 9", "--rows: the stack has 8 rows, found 9"),
    ("explain samples/red-cat.png --row 8 --col 0", "row 8, column 0, depth 0 is outside the 8x8x4"),
    ("explain samples/red-cat.png --row 0 --col 8", "row 0, column 8, depth 0 is outside"),
    ("explain samples/red-cat.png --row 0 --col 0 --depth 4", "depth 4 is outside"),
    ("sample --model fixtures/rqt-token-embedding --class 0", "name its RQ-VAE, too"),
    ("bench --preset none", "preset none does not exist; choose one of ffhq-355m"),
    ("bench --preset tiny --runs 0", "expected at least one run"),
    ("bench --preset tiny --batch 0", "batches of 1 to 1024"),
];

#[test]
fn impossible_requests_are_rejected() {
    let desk = Desk::new();
    named::write(&desk.path("named"));
    for (line, message) in IMPOSSIBLE {
        desk.refuses(line, 2, message);
    }
}

/// The command line itself is wrong, so no model is loaded.
#[test]
fn a_wrong_command_line_is_rejected_with_a_hint() {
    let desk = Desk::new();
    for line in [
        "",
        "paint",
        "sample --class 0 --temperature hot",
        "sample --class 0 -n -1",
        "sample --class 0 --top-k -1",
        "sample --class 0 --prompt pig",
        "sample --from a.png --seed 1",
        "sample --class 0 --device tpu",
        "sample --class 0 --precision q4",
        "sample --class 0 --half --precision q8",
        "bench --preset tiny --f32 --precision q8",
        "complete samples/red-cat.png --class 0",
        "complete samples/red-cat.png --class 0 --rows 1 --mask a.png",
        "explain samples/red-cat.png --row -1 --col 0",
        "sample --bulk --part 2/2",
        "eval clip --data data --clip w.pt --part 1",
        "eval merge",
        "reconstruct",
    ] {
        let run = desk.run(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
        assert!(run.stderr.contains("Usage: residua") || run.stderr.contains("--help"), "{line}: {run:?}");
        assert_eq!(run.stdout, "", "{line}");
    }
}

/// Other programs take -1 for a random seed.
#[test]
fn negative_numbers_are_refused_as_numbers() {
    let desk = Desk::new();
    for (line, message) in [
        ("sample --class 0 --seed -1", "'-1' for '--seed <SEED>': expected a whole number, 0 or more"),
        ("sample --class 0 -n -1", "-1 is not in 0..=4294967295"),
        (
            "explain samples/red-cat.png --row -1 --col 0",
            "for '--row <ROW>': expected a whole number, 0 or more",
        ),
        ("sample --class 0 --seed 99999999999999999999", "expected a smaller number"),
        ("sample --class 0 --temperature hot", "for '--temperature <T[,T..]>': expected a number"),
    ] {
        let run = desk.run(line);
        assert!(run.code == Some(2) && run.stderr.contains(message), "{line}: {run:?}");
    }
    desk.refuses("sample --model fixtures/rqt-class --class -5", 2, "class -5 does not exist");
    desk.refuses("sample --model fixtures/rqt-class --class 0 --temperature -1", 2, "found -1");
}

/// Command lines with an option that would have no effect.
const WITHOUT_EFFECT: &[&str] = &[
    // An option's requirements are checked even if it conflicts with another option.
    "sample --class 2 --clip /nofile --keep 1",
    "sample --class 2 --clip /nofile",
    "sample --prompt cat --classifier /nofile",
    "sample --class 2 --classifier /nofile --keep 1",
    "sample --prompt cat --clip /nofile --acceptance 0.5",
    "sample --from a.png --keep 1",
    "sample --from a.png --acceptance 0.5",
    "sample --model fixtures/rqt-unconditional --keep 1 --acceptance 0.5",
    "sample --class 2 --captions captions.txt",
    "sample --prompt cat --captions captions.txt",
    "sample --from a.png --captions captions.txt",
    "sample --bulk --captions captions.txt --force",
    "sample --bulk --acceptance 0.5",
    "sample --part 0/2",
    "sample --part 0/2 --class 2",
    "eval samples --data data --inception w.pth --out kept --clip w.pth --acceptance 0.1",
    "train rqvae c.yaml --data . --resume --reinitialize quantizer",
    "train rqtransformer c.yaml --data . --rqvae fixtures/rqvae-shared --variations 3",
    // These commands do not load the transformer.
    "encode samples/red-cat.png --precision q8",
    "decode samples/red-cat.png --half",
    "reconstruct samples/red-cat.png --precision f16",
    "eval reconstruction --data . --half",
    "eval rfid --data . --inception w.pth --half",
    // The model takes no captions, or neither class nor caption.
    "sample --bulk --captions captions.txt --model fixtures/rqt-class",
    "eval samples --data data --inception w.pth --out kept --captions captions.txt --model fixtures/rqt-class",
    "eval samples --data data --inception w.pth --out kept --clip w.pth --model fixtures/rqt-class",
    "eval likelihood --data data --model fixtures/rqt-unconditional --unlabelled",
    // A setting has several values only in one sweep.
    "eval samples --data data --inception w.pth --out kept --sweep top-k=5 --sweep top-k=7",
    "eval samples --data data --inception w.pth --out kept --sweep top-k=5 --top-k 3",
    "eval fid --data a.npz --inception w.pth --batch 4",
    "eval clip --data data --clip w.pt --sums a.sums",
    "eval reconstruction --data data --force",
    "eval samples --data data --inception w.pth --out kept --classifier w.pth --acceptance 0.5 --part 0/2",
    "verify fixtures/rqvae-shared --rqvae nowhere",
    "verify fixtures/tokenizers --rqvae nowhere",
    "encode samples/red-cat.png --out - --force",
    "morph samples/red-cat.png samples/green-cat.png --seed 3",
    "morph samples/red-cat.png samples/green-cat.png --half",
    "morph samples/red-cat.png samples/green-cat.png --precision q8",
    // Only one of these can be the model.
    "encode samples/red-cat.png --model characters-128 --rqvae characters-128",
    "reconstruct samples/red-cat.png --model characters-128 --rqvae characters-128",
    "encode samples/red-cat.png --seed 3",
    "encode samples/red-cat.png --seed 3 --temperature 0",
    "encode samples/red-cat.png --device cpu --gpu-kernels off",
    "verify fixtures/rqvae-shared --device cpu --gpu-kernels on",
    "eval fid --data . --inception w.pth --samples . --seed 1",
    "eval fid --data . --inception w.pth --samples . --rqvae fixtures/rqvae-shared",
    "eval fid --data . --inception w.pth --samples . --precision q8",
    "eval fid --data . --inception w.pth --samples . --draft 2",
    "eval fid --data . --inception w.pth --samples . --revise-top-k 2",
    "eval fid --data a.npz --inception w.pth --samples . --split held-out",
    "eval fid --data a.npz --inception w.pth --samples . --limit 3",
    "eval fid --data a.npz --inception w.pth --samples . --resolution 64",
    "bench --list --preset tiny",
    "bench --list --runs 1",
    "bench --studio --preset tiny --device auto",
    "bench --train --preset tiny",
    "bench --train --batch 1,2",
    "bench --kernels --batch 2",
    "bench --drafting --compare",
    "bench --drafting --train",
    "bench --brush --preset tiny",
    "bench --brush --studio",
    "bench --plan --device gpu",
    "bench --plan --runs 1",
    "bench --model characters-128-ar",
    "--json studio",
    "studio --force",
];

/// An option without effect is an error, in any combination with others.
#[test]
fn options_without_effect_are_rejected() {
    let desk = Desk::new();
    desk.write("captions.txt", "a red cat\n");
    ["red-cat.png", "green-cat.png"]
        .iter()
        .for_each(|name| desk.copy(&format!("samples/{name}"), &format!("data/{name}")));
    for line in WITHOUT_EFFECT {
        let run = desk.run(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
        assert_eq!(run.stdout, "", "{line}");
    }
}

/// Uses the Vulkan loader; other systems always have a graphics adapter.
#[cfg(target_os = "linux")]
#[test]
fn a_missing_gpu_is_reported() {
    use super::desk::Run;
    let desk = Desk::new();
    let run = |line: &str| {
        let mut command = desk.command(line);
        command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent");
        Run::of(command.output().unwrap())
    };
    let refused = run("sample --model fixtures/rqt-class --class 0 --device gpu");
    refused.is_refusal("sample", 1, "no graphics adapter was found; install a Vulkan driver, or use the CPU");
    assert_eq!(run("sample --model fixtures/rqt-class --class 0 --device auto").code, Some(0));
    assert!(run("devices").stdout.contains("gpu  none found"));
}
