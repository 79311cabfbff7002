//! A run is started, paused, stopped and resumed, and its metrics and contact sheet are shown.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eframe::egui::{Event, Key, Modifiers};
use egui_kittest::kittest::Queryable;
use residua::app::training::{Ended, LOSS, Training};
use residua_core::error::Error;
use residua_core::task::Task;
use residua_engine::train::{TrainOptions, train};
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use residua_kernels::device::{DeviceChoice, open};
use tempfile::TempDir;

use crate::desk::Desk;

const CONFIG: &str = "
dataset: {transforms: {type: shift16x16}}
arch:
  type: rq-vae
  hparams:
    bottleneck_type: rq
    embed_dim: 8
    n_embed: 16
    latent_shape: [8, 8, 8]
    code_shape: [4, 4, 2]
    shared_codebook: true
  ddconfig: {z_channels: 8, resolution: 16, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 1], num_res_blocks: 1}
optimizer: {init_lr: 0.001}
experiment: {batch_size: 4}
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yaml"), CONFIG).unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    for i in 0..40 {
        let values = (0..3 * 256).map(|j| ((i * 5 + j) % 40) as f32 / 20.0 - 1.0).collect();
        let path = folder.path().join(format!("data/{i}.png"));
        Picture::new(16, 16, values).unwrap().save_png(&path, &Provenance::default()).unwrap();
    }
    folder
}

fn desk(folder: &Path, steps: &str) -> Desk {
    let mut desk = Desk::new();
    desk.click("Train");
    type_in(&mut desk, "Configuration", &folder.join("config.yaml").display().to_string());
    type_in(&mut desk, "Pictures", &folder.join("data").display().to_string());
    type_in(&mut desk, "Run folder", &folder.join("run").display().to_string());
    type_in(&mut desk, "Steps", steps);
    desk.settle();
    desk
}

/// Replaces the text in a field of the form.
fn type_in(desk: &mut Desk, field: &str, text: &str) {
    desk.harness.get_by_role_and_label(eframe::egui::accesskit::Role::TextInput, field).focus();
    desk.harness.run();
    desk.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    desk.harness.run();
    desk.harness.event(Event::Text(text.into()));
    desk.harness.run();
}

fn training(desk: &mut Desk) -> &mut Training {
    &mut desk.harness.state_mut().state.training
}

/// Steps for which the loss is known.
fn steps(training: &Training) -> usize {
    training.curves.training(LOSS).len()
}

fn wait_until(desk: &mut Desk, done: impl Fn(&Training) -> bool) {
    while !done(training(desk)) {
        assert!(training(desk).is_running(), "the run ended too early");
        std::thread::sleep(Duration::from_millis(5));
        training(desk).receive();
    }
    desk.harness.run();
}

#[test]
fn a_run_is_watched_paused_stopped_and_resumed() {
    let folder = folder();
    let mut desk = desk(folder.path(), "100000");
    desk.begin("Start run");
    wait_until(&mut desk, |training| steps(training) >= 3);
    assert!(desk.shows("loss") && desk.shows("reconstruction"));
    desk.begin("Pause");
    assert!(training(&mut desk).is_paused());
    desk.begin("Continue");
    let seen = steps(training(&mut desk));
    wait_until(&mut desk, |training| steps(training) > seen + 1);
    desk.begin("Pause");
    // A paused run can be stopped.
    desk.begin("Stop run");
    wait_until(&mut desk, |training| training.ended.is_some());
    assert_eq!(training(&mut desk).ended, Some(Ended::Stopped));
    assert!(desk.shows("Stopped. You can resume it."));
    let taken = steps(training(&mut desk));

    // Five more steps.
    type_in(&mut desk, "Steps", &(taken + 5).to_string());
    desk.settle();
    desk.begin("Resume run");
    wait_until(&mut desk, |training| training.ended.is_some());
    assert!(
        matches!(&training(&mut desk).ended, Some(Ended::Done(path)) if path.is_dir()),
        "{:?}",
        training(&mut desk).ended
    );
    let held_out = training(&mut desk).curves.held_out(LOSS);
    assert_eq!(held_out.last().map(|point| point[0]), Some((taken + 5) as f64));
    assert!(desk.shows("held out psnr"));
    assert!(desk.shows("Sheet of held-out pictures"));
    let curve = training(&mut desk).curves.training(LOSS);
    assert!(curve.iter().map(|point| point[0]).eq((1..=taken as u64 + 5).map(|step| step as f64)));

    // One metric at a time is plotted.
    assert!(desk.shows("Curves of loss: Training, Held out"));
    desk.harness.get_by_label("Plot").scroll_to_me();
    desk.harness.run();
    for (metric, curves) in [
        ("psnr", "Held out"),
        ("perplexity at depth 1", "Held out"),
        ("used at depth 1", "Training, Held out"),
        ("reconstruction", "Training, Held out"),
    ] {
        desk.begin("Plot");
        desk.click(&format!("Plot {metric}"));
        assert!(desk.shows(&format!("Curves of {metric}: {curves}")), "{metric}");
    }
}

#[test]
fn stopping_between_two_steps_still_writes_a_checkpoint() {
    let folder = folder();
    let options = TrainOptions {
        config: folder.path().join("config.yaml"),
        data: folder.path().join("data"),
        out: folder.path().join("run"),
        rqvae: None,
        lpips: Vec::new(),
        cache: None,
        variations: None,
        from: None,
        reinitialize: Vec::new(),
        resume: false,
        steps: Some(9),
        save_every: Some(9),
        sheet_every: Some(9),
        test_every: None,
        all: false,
        unlabelled: false,
        seed: None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let device = open(DeviceChoice::Cpu).unwrap();
    let mut task = Task::new(stop.clone(), |_, _| ());
    let mut sheets = Vec::new();
    // Stops after the second step has checked if it is the last one.
    let ended = train(
        &options,
        &device,
        &mut task,
        |_| (),
        |told| {
            sheets.push(told.sheet.is_some());
            stop.store(told.steps == 2, Ordering::Relaxed);
        },
    );
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    assert_eq!(sheets, [false; 3]);
    assert!(options.out.join("checkpoints/00000003").is_dir());
}

/// However the window is closed: by its button or by a signal.
#[test]
fn closing_the_window_writes_a_checkpoint() {
    let folder = folder();
    let mut desk = desk(folder.path(), "100000");
    desk.begin("Start run");
    wait_until(&mut desk, |training| steps(training) >= 3);
    drop(desk);
    let metrics = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let last = folder.path().join(format!("run/checkpoints/{:08}", metrics.lines().count()));
    assert!(last.join("training.safetensors").is_file(), "{metrics}");
}

#[test]
fn errors_are_shown_in_the_panel() {
    let folder = folder();
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let mut desk = desk(folder.path(), "5");
    desk.begin("Start run");
    wait_until(&mut desk, |training| training.ended.is_some());
    assert!(desk.harness.query_by_label_contains("expected pictures").is_some());
}
