//! The window stays usable while a file dialog is open, and reports an error if none can be opened.

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use residua::app::choose::{self, Wanted};
use residua::app::state::State;
use residua_core::warnings::{Warnings, listen};
use tracing_subscriber::layer::SubscriberExt;

use crate::desk::Desk;

/// Shows frames whenever the studio asks for some, until `found` finds something in its state; `None` if that takes
/// too long.
fn until<T>(desk: &mut Desk, patience: Duration, found: impl Fn(&State) -> Option<T>) -> Option<T> {
    let (sender, asked) = channel();
    // Fails only if the test no longer waits.
    desk.harness.ctx.set_request_repaint_callback(move |_| _ = sender.send(()));
    let begun = Instant::now();
    loop {
        desk.settle();
        if let Some(found) = found(desk.state()) {
            return Some(found);
        }
        asked.recv_timeout(patience.checked_sub(begun.elapsed())?).ok()?;
    }
}

/// Waits until there is a warning or an error, and returns it.
fn grave(desk: &mut Desk) -> String {
    let notice = |state: &State| state.log.notice.as_ref().map(|notice| notice.text.clone());
    until(desk, Duration::from_secs(60), notice).expect("a warning or an error")
}

/// Replaces the system's dialog with one that answers on demand.
fn pretend(desk: &mut Desk, answer: async_channel::Receiver<Option<PathBuf>>) {
    let dialog = async move { answer.recv().await.ok().flatten() };
    desk.state().dialogs.ask(dialog, |state, path| state.show_folder(path)).unwrap();
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
    let (sender, ctx) = (desk.state().log.sender(), desk.harness.ctx.clone());
    listen(move |line| {
        sender.send(line).expect("the log is open");
        ctx.request_repaint();
    });
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

/// The output of xdotool, which must succeed within a minute.
#[cfg(target_os = "linux")]
fn xdotool(words: &[&str]) -> String {
    let output = std::process::Command::new("timeout").args(["60", "xdotool"]).args(words).output().unwrap();
    assert!(output.status.success(), "xdotool {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Run by the next test, in a session with a portal.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by the next test"]
fn with_a_portal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.png");
    image::RgbImage::from_pixel(96, 96, image::Rgb([40, 200, 60])).save(&path).unwrap();
    let mut desk = Desk::new();
    choose::open(&mut desk.harness.state_mut().state, Wanted::Picture);
    let windows = xdotool(&["search", "--sync", "--onlyvisible", "--name", "Open a picture or codes"]);
    let window = windows.lines().last().unwrap();
    let is_open =
        |state: &State| state.document.as_ref().filter(|document| document.name == "green.png").map(|_| ());
    // The dialog drops keys while its field for a path opens, so they are typed again every other second.
    let chosen = (0..30).any(|_| {
        xdotool(&["windowfocus", window, "key", "ctrl+l", "key", "ctrl+a"]);
        xdotool(&["type", path.to_str().unwrap()]);
        xdotool(&["key", "Return"]);
        until(&mut desk, Duration::from_secs(2), is_open).is_some()
    });
    assert!(chosen, "{:?}", desk.state().log.text());
}

#[test]
#[cfg(target_os = "linux")]
fn the_portals_dialog_opens_the_chosen_file() {
    let session = tempfile::tempdir().unwrap();
    let place = session.path().join("output.txt");
    let output = std::fs::File::create(&place).unwrap();
    // The session's services may outlive the test, so they must not hold a pipe that this process reads.
    let status = std::process::Command::new("xvfb-run")
        .args(["--auto-servernum", "--server-args=-screen 0 1280x800x24", "dbus-run-session", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "dialogs::with_a_portal", "--ignored", "--nocapture"])
        .env("HOME", session.path())
        .env("XDG_RUNTIME_DIR", session.path())
        .env("XDG_CURRENT_DESKTOP", "GNOME")
        .env_remove("WAYLAND_DISPLAY")
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .status()
        .expect("on Linux, this test needs xvfb-run");
    let said = String::from_utf8_lossy(&std::fs::read(&place).unwrap()).into_owned();
    assert!(status.success() && said.contains("1 passed"), "tests/run names the packages:\n{said}");
}
