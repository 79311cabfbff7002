//! The window stays usable while a file dialog is open, and reports an error if none can be opened.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use residua::app::choose::{self, Wanted};
use residua::app::dialogs;
use residua_core::warnings::{Warnings, listen};
use tracing_subscriber::layer::SubscriberExt;

use crate::desk::Desk;

/// Shows frames until there is a warning or an error, and returns it.
fn grave(desk: &mut Desk) -> String {
    let begun = Instant::now();
    loop {
        desk.harness.step();
        if let Some(notice) = &desk.state().log.notice {
            return notice.text.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no warning or error appeared");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Replaces the system's dialog with one that answers on demand.
fn pretend(desk: &mut Desk, answer: async_channel::Receiver<Option<PathBuf>>) {
    let dialog = async move { answer.recv().await.ok().flatten() };
    dialogs::ask(&mut desk.harness.state_mut().state, dialog, |state, path| state.show_folder(path));
}

#[test]
fn the_window_stays_usable_while_a_dialog_is_open() {
    let mut desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (async_channel::bounded(1), async_channel::bounded(1));
    pretend(&mut desk, first.1);
    pretend(&mut desk, second.1);
    desk.click("Log and device");
    assert!(desk.shows("Copy all"), "the window reacts to clicks");
    second.0.try_send(None).unwrap();
    first.0.try_send(Some(folder.path().into())).unwrap();
    let said = grave(&mut desk);
    assert!(said.contains(&folder.path().display().to_string()), "{said}");
}

/// Run by the next test, in a process that finds neither a portal nor zenity.
#[test]
#[ignore = "run by the next test"]
fn without_a_dialog() {
    let log = tracing_subscriber::registry().with(Warnings);
    tracing_subscriber::util::SubscriberInitExt::init(log);
    let mut desk = Desk::new();
    let sender = desk.state().log.sender();
    listen(move |line| sender.send(line).expect("the log is open"));
    choose::open(&mut desk.harness.state_mut().state, Wanted::Picture);
    let said = grave(&mut desk);
    assert!(said.starts_with("no file dialog could be opened") && said.contains("zenity"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn without_portal_and_zenity_the_log_says_what_to_install() {
    let nothing = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dialogs::without_a_dialog", "--ignored"])
        .env("PATH", nothing.path())
        .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", nothing.path().join("bus").display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
