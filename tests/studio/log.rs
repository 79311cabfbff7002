//! The panel "Log and device": what happened, and on which device.

use eframe::egui::OutputCommand;
use residua::app::log::Level;
use residua_kernels::GpuKernel;
use residua_kernels::check::Checked;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::desk::{Desk, SMALL};

fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.click("Log and device");
    desk
}

#[test]
fn the_device_and_timings_are_shown() {
    let mut desk = desk();
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(desk.shows(&format!("CPU: {threads} thread{}", if threads == 1 { "" } else { "s" })));
    assert!(desk.shows("The models run on the CPU; no GPU kernels are in use."));
    for work in ["loading", "encoding", "decoding"] {
        assert!(desk.state().log.times[work] > 0.0);
        assert!(desk.shows(work));
    }
    let checked = Checked {
        kernel: GpuKernel::Conv2d,
        shape: "3x3 5->7".into(),
        ok: false,
        difference: 0.5,
        tolerance: 1e-4,
        ms: 2.0,
    };
    desk.harness.state_mut().state.device.kernel_checks = vec![checked];
    desk.harness.run();
    for text in ["Conv2d", "3x3 5->7", "wrong, not used", "5.0e-1 (1e-4)", "2.0 ms"] {
        assert!(desk.shows(text), "{text}");
    }
}

#[test]
fn lines_are_copied_and_cleared() {
    let mut desk = desk();
    desk.harness.state_mut().state.log.add(Level::Error, "a thing that went wrong");
    desk.harness.run();
    assert!(desk.shows(&format!("Note: {SMALL} is loaded")) && desk.shows("Error: a thing that went wrong"));
    let copied = |desk: &Desk| {
        desk.harness.output().platform_output.commands.iter().find_map(|command| match command {
            OutputCommand::CopyText(text) => Some(text.clone()),
            _ => None,
        })
    };
    use egui_kittest::kittest::Queryable;
    desk.harness.get_by_label("Copy all").click();
    let text = (0..4).find_map(|_| {
        desk.harness.step();
        copied(&desk)
    });
    let expected = format!("Note: {SMALL} is loaded\nError: a thing that went wrong\n");
    assert_eq!(text, Some(expected));
    desk.click("Clear");
    assert_eq!(desk.state().log.lines().len(), 0);
    assert!(desk.shows("Nothing yet.") && desk.state().log.notice.is_none());
}

#[test]
fn warnings_of_the_engine_reach_the_log() {
    // The process has one subscriber and one listening log; no other test sets them.
    let _ = tracing_subscriber::registry().with(residua_core::warnings::Warnings).try_init();
    let mut desk = desk();
    let log = desk.state().log.sender();
    residua_core::warnings::listen(move |line| log.send(line).expect("the log is open"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.png"), b"no picture").unwrap();
    desk.harness.state_mut().state.count_folder(folder.path().into());
    desk.settle();
    let heard =
        desk.state().log.lines().any(|line| line.level == Level::Warning && line.text.contains("broken.png"));
    assert!(heard, "{}", desk.state().log.text());
}
