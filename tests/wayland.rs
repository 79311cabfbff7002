//! The real window under Weston, a Wayland compositor that needs no screen: headless, or nested in a virtual
//! X server.
#![cfg(target_os = "linux")]

use std::fs::read;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use image::RgbImage;

/// The compositor's socket in the session folder.
const SOCKET: &str = "residua-test";

/// A process that is killed when the test ends.
struct Running(Child);

impl Running {
    fn new(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("on Linux, this test needs {name}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `is_so`.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "timed out waiting for {what}");
        sleep(Duration::from_millis(50));
    }
}

/// Starts Weston in its own session and waits until it listens.
fn weston(session: &Path, backend: &str, set_up: impl FnOnce(&mut Command)) -> Running {
    let mut command = Command::new("weston");
    command.args(["--width=1280", "--height=800", "--idle-time=0", "--socket", SOCKET, "--backend", backend]);
    command.env("XDG_RUNTIME_DIR", session).stdout(Stdio::null()).stderr(Stdio::null());
    set_up(&mut command);
    let weston = Running::new(&mut command);
    until("weston's socket", || session.join(SOCKET).exists());
    weston
}

/// The studio in that session.
fn studio(session: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
    command.env("XDG_RUNTIME_DIR", session).env("WAYLAND_DISPLAY", SOCKET).env_remove("DISPLAY");
    command.env("HOME", session).env("XDG_DATA_HOME", session.join("data"));
    command.args(["studio", "--device", "cpu", "--theme", "dark"]);
    command
}

#[test]
fn the_window_opens_and_draws() {
    let session = tempfile::tempdir().unwrap();
    let green = session.path().join("green.png");
    RgbImage::from_pixel(96, 96, image::Rgb([40, 200, 60])).save(&green).unwrap();
    let _weston = weston(session.path(), "headless-backend.so", |_| ());
    let [shown, sample] = [Some(&green), None].map(|image| {
        let path =
            session.path().join(if image.is_some() { "green-window.png" } else { "sample-window.png" });
        let output = studio(session.path()).args(image).arg("--screenshot").arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        image::open(path).unwrap().into_rgb8()
    });
    let differing = shown.pixels().zip(sample.pixels()).filter(|(a, b)| a != b).count();
    assert!(differing > 50_000, "the opened image is on the screen: {differing}");
}

/// As its user would, so that a training run writes a checkpoint.
#[test]
fn signals_close_the_window() {
    for (signal, number) in [("-HUP", 1), ("-INT", 2), ("-TERM", 15)] {
        let session = tempfile::tempdir().unwrap();
        let _weston = weston(session.path(), "headless-backend.so", |_| ());
        let program = studio(session.path());
        // Whoever runs these tests may ignore some signals.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT").arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut studio = Running::new(&mut command);
        let status = format!("/proc/{}/status", studio.0.id());
        until("the studio to catch signals", || {
            let status = std::fs::read_to_string(&status).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & (1 << (number - 1)) != 0
        });
        assert!(Command::new("kill").args([signal, &studio.0.id().to_string()]).status().unwrap().success());
        until("the window to close", || studio.0.try_wait().unwrap().is_some());
        assert_eq!(studio.0.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn key_presses_reach_the_window() {
    let session = tempfile::tempdir().unwrap();
    let mut screen = Command::new("Xvfb");
    screen.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-fbdir"]);
    screen.arg(session.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut screen = Running::new(&mut screen);
    let mut number = String::new();
    BufReader::new(screen.0.stdout.take().unwrap()).read_line(&mut number).unwrap();
    let display = format!(":{}", number.trim());
    let press = |words: &[&str]| {
        let status = Command::new("xdotool").args(words).env("DISPLAY", &display).status();
        assert!(status.expect("on Linux, this test needs xdotool").success());
    };
    let seen = || read(session.path().join("Xvfb_screen0")).unwrap();
    let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a != b).count();

    let blank = seen();
    let _weston = weston(session.path(), "x11-backend.so", |weston| _ = weston.env("DISPLAY", &display));
    let _studio = Running::new(&mut studio(session.path()));
    let mut before = seen();
    until("the window to settle", || {
        sleep(Duration::from_secs(1));
        let last = std::mem::replace(&mut before, seen());
        differ(&blank, &before) > 1_000_000 && differ(&last, &before) < 5_000
    });
    // The clock in Weston's panel changes far fewer bytes.
    press(&["mousemove", "640", "400", "key", "1"]);
    until("the image of the first codes", || differ(&before, &seen()) > 50_000);
}
