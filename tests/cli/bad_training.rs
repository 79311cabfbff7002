//! Training that is impossible, fails, or differs from what is published: it is said, and nothing is lost.

use super::training::{JUDGES, LPIPS, STAGE1, desk, metrics};

/// Differences from the published trainer are reported once, when a run starts.
#[test]
fn differences_from_a_published_configuration_are_reported() {
    let desk = desk();
    let published = STAGE1
        .replace(
            "experiment: {batch_size: 4}",
            "experiment: {batch_size: 4, total_batch_size: 8, amp: true, totl: 1}",
        )
        .replace("type: rq-vae", "type: rq-vae\n  checkpointing: true")
        .replace("ema: 0.9", "ema: true")
        .replace("type: adam, ", "type: SGD, momentum: 0.9, ");
    desk.write("published.yaml", published);
    let run = desk.does("train rqvae published.yaml --data data --out run --steps 2");
    for note in [
        "augmentation: the largest square in the center, mirrored half the time, shifted by up to 3 pixels",
        "dropout: none",
        "unlike the published code, this makes transparent pixels white",
        "a step is 8 pictures, in 2 parts of 4",
        "optimizer.max_gn: ",
        "experiment.total_batch_size: ",
        "experiment.amp: ",
        "arch.checkpointing: ",
        "arch.ema: ",
    ] {
        assert_eq!(run.stderr.matches(note).count(), 1, "{note}: {}", run.stderr);
    }
    for key in ["experiment.totl", "optimizer.momentum"] {
        assert_eq!(
            run.stderr.matches(&format!("unknown key {key} is ignored")).count(),
            1,
            "{key}: {}",
            run.stderr
        );
    }
    desk.write("odd.yaml", STAGE1.replace("batch_size: 4", "batch_size: 4, total_batch_size: 6"));
    desk.refuses(
        "train rqvae odd.yaml --data data --out odd",
        1,
        "expected a multiple of batch_size 4, found 6",
    );
}

#[test]
fn impossible_training_is_rejected_in_one_line() {
    let desk = desk();
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.write("wild.yaml", STAGE1.replace("init_lr: 0.002, max_gn: 1.0", "init_lr: 1e30"));
    desk.write("odd.yaml", STAGE1.replace("batch_size: 4", "batch_size: 0"));
    desk.write("mad.yaml", format!("{STAGE1}{JUDGES}").replace("init_lr: 0.001", "init_lr: 1e30"));
    let judged = format!("train rqvae stage1.yaml --data data --out run {LPIPS}");
    let cases = [
        (&*judged, 2, "expected a gan.loss.perceptual_weight above 0"),
        (
            "train rqvae judged.yaml --data data --out run --lpips fixtures/lpips/lin.pth",
            1,
            "features.0.weight",
        ),
        ("train rqvae stage1.yaml --data empty --out run", 1, "expected pictures"),
        ("train rqvae stage2.yaml --data data --out run", 2, "train it as an RQ-Transformer"),
        ("train rqtransformer stage1.yaml --data data --rqvae one --out run", 2, "train it as an RQ-VAE"),
        ("train rqvae odd.yaml --data data --out run", 1, "batch_size"),
        ("train rqvae none.yaml --data data --out run", 1, "none.yaml"),
        ("train rqvae stage1.yaml --data data --out run --resume", 2, "expected a run folder"),
    ];
    for (line, code, message) in cases {
        desk.refuses(line, code, message);
    }
    let run = desk.run("train rqvae wild.yaml --data data --out wild --steps 50 --save-every 1");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("the last good checkpoint is"), "{run:?}");
    // The discriminator's losses are checked too; missing LPIPS weights are reported.
    let run = desk.run("train rqvae mad.yaml --data data --out mad --steps 50 --save-every 1");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("the last good checkpoint is"), "{run:?}");
    assert_eq!(run.stderr.matches("the perceptual term is off").count(), 1, "{run:?}");
    let run = desk.run("train rqvae stage1.yaml --data data --out wild");
    assert!(run.code == Some(2) && run.stderr.contains("already holds a run"), "{run:?}");
}

#[test]
fn a_failed_write_leaves_the_last_checkpoint() {
    let desk = desk();
    let line = "train rqvae stage1.yaml --data data --out run --save-every 2";
    desk.does(&format!("{line} --steps 4"));
    let before = desk.files();
    // A file in place of the next checkpoint's temporary folder.
    desk.write("run/checkpoints/00000006.part", b"in the way");
    let run = desk.run(&format!("{line} --steps 8 --resume"));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(before.iter().all(|path| path.exists()), "{run:?}");
    std::fs::remove_file(desk.path("run/checkpoints/00000006.part")).unwrap();
    desk.does(&format!("{line} --steps 8 --resume"));
    assert_eq!(metrics(&desk.path("run")).len(), 8);
}
