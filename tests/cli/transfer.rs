//! Runs that start from another model (`train --from`).

use super::training::{JUDGES, STAGE1, STAGE2, assert_same, desk, kill_after, mean_loss, metrics};

/// With --from, a run also takes over the discriminator, unless --reinitialize excludes it.
#[test]
fn a_run_starts_with_the_discriminator_of_another() {
    let desk = desk();
    let judged = STAGE1.to_string() + &JUDGES.replace("ndf: 8", "ndf: 8, use_actnorm: true");
    desk.write("judged.yaml", &judged);
    desk.does("train rqvae judged.yaml --data data --out one --steps 30");
    let begin = |out: &str, rest: &str| {
        let line = format!("train rqvae judged.yaml --data data --out {out} --steps 1 --seed 3 {rest}");
        let said = desk.does(&line).stderr;
        (metrics(&desk.path(out))[0]["discriminator"].as_f64().unwrap(), said)
    };
    let (taken, said) = begin("two", "--from one");
    assert!(!said.contains("from scratch"), "{said}");
    let (scratch, said) = begin("three", "--from one --reinitialize discriminator");
    assert!(!said.contains("from scratch"), "{said}");
    assert!(taken < scratch, "{taken} {scratch}");
    desk.write("judged.yaml", judged.replace("ndf: 8", "ndf: 4"));
    let (_, said) = begin("four", "--from one");
    assert!(said.contains("from scratch: discriminator.main.0"), "{said}");
}

/// With --from, a run starts with another model's weights as far as they fit, and reports those that do not.
#[test]
fn a_run_starts_with_the_weights_of_a_model() {
    let desk = desk();
    let loss = |line: &str, out: &str| {
        let run = desk.does(&format!("train {line} --data data --out {out} --sheet-every 100"));
        (mean_loss(&metrics(&desk.path(out))[..1]), run.stderr)
    };
    loss("rqvae stage1.yaml --steps 24", "one");
    let (scratch, _) = loss("rqvae stage1.yaml --steps 1 --seed 7", "scratch");
    let (further, said) = loss("rqvae stage1.yaml --steps 1 --seed 7 --from one", "further");
    assert!(further < 0.7 * scratch, "{further} {scratch}");
    assert!(!said.contains("from scratch"), "{said}");
    desk.write("small.yaml", STAGE1.replace("n_embed: 16", "n_embed: 8"));
    let (_, said) = loss("rqvae small.yaml --steps 1 --from one", "small");
    assert!(said.contains("from scratch: quantizer.codebooks.0.weight"), "{said}");
    let (_, said) = loss("rqvae stage1.yaml --steps 1 --from one --reinitialize quantizer", "codebooks");
    assert!(said.contains("from scratch: quantizer.codebooks.0.weight"), "{said}");
    assert!(!said.contains("coder"), "{said}");
    desk.refuses(
        "train rqvae stage1.yaml --data data --out typo --from one --reinitialize quantiser",
        2,
        "expected tensors named quantiser…",
    );

    loss("rqtransformer stage2.yaml --rqvae one --steps 24", "two");
    desk.write("other.yaml", STAGE2.replace("vocab_size_cond: 2", "vocab_size_cond: 3"));
    let line = "rqtransformer other.yaml --rqvae one --steps 1 --seed 7";
    let (scratch, _) = loss(line, "other");
    let (further, said) = loss(&format!("{line} --from two"), "other-further");
    assert!(further < scratch, "{further} {scratch}");
    assert!(said.contains("from scratch: ") && said.contains("cond"), "{said}");
    desk.refuses("train rqvae stage1.yaml --data data --out three --from nowhere", 1, "nowhere");
}

/// A run that was killed before its first checkpoint still resumes from the weights that it started with.
#[test]
fn a_run_that_started_with_other_weights_resumes_with_them() {
    let desk = desk();
    desk.write("judged.yaml", format!("{STAGE1}{JUDGES}"));
    desk.does("train rqvae judged.yaml --data data --out one --steps 8");
    let line = |out: &str, rest: &str| {
        let every = "--save-every 100000 --test-every 100000 --sheet-every 100000";
        format!("train rqvae judged.yaml --data data --out {out} --seed 3 {every} {rest}")
    };
    desk.does(&line("whole", "--steps 4 --from one --reinitialize quantizer"));
    kill_after(&desk, &line("killed", "--steps 100000 --from one --reinitialize quantizer"), "killed", 1);
    std::fs::remove_dir_all(desk.path("one")).unwrap();
    desk.does(&line("killed", "--steps 4 --resume"));
    assert_same(&metrics(&desk.path("killed")), &metrics(&desk.path("whole")));
    // Nothing of it stays if there is no first step.
    desk.write("none/0.png", b"no picture");
    let line = line("failed", "--from whole").replace("--data data", "--data none");
    let run = desk.run(&line.replace("--test-every 100000", "--all"));
    assert!(run.code == Some(1) && run.stderr.contains("0.png"), "{run:?}");
    assert!(!desk.path("failed").exists());
}
