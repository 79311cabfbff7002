//! The real window, on the current display or on a virtual one.

use std::path::Path;
use std::process::Command;
#[cfg(unix)]
use std::{
    fs::File,
    io::{BufRead, BufReader},
    sync::mpsc::channel,
    time::Duration,
};

use image::RgbImage;

/// The program, on the current display or on a virtual one, with its own home folder.
fn studio(home: &Path) -> Command {
    let binary = env!("CARGO_BIN_EXE_residua");
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let mut command = if cfg!(target_os = "linux") && !has_display {
        let mut command = Command::new("xvfb-run");
        command.args(["--auto-servernum", "--server-args=-screen 0 1280x800x24", binary]);
        command
    } else {
        Command::new(binary)
    };
    command.env("HOME", home).env("XDG_DATA_HOME", home.join("data")).env("XDG_RUNTIME_DIR", home);
    command.arg("studio");
    command
}

/// A screenshot of the window with `arguments`; models on the CPU.
fn screenshot(arguments: &[&str]) -> RgbImage {
    screenshot_on("cpu", arguments)
}

/// A screenshot of the window with `arguments`; models on `device`.
fn screenshot_on(device: &str, arguments: &[&str]) -> RgbImage {
    let home = tempfile::tempdir().unwrap();
    let mut command = studio(home.path());
    command.args(["--device", device]);
    screenshot_of(command, home.path(), arguments)
}

/// A screenshot of the window that `command` opens.
fn screenshot_of(mut command: Command, home: &Path, arguments: &[&str]) -> RgbImage {
    let path = home.join("window.png");
    let output = command.args(arguments).arg("--screenshot").arg(&path).output();
    let output = output.expect("on Linux without a screen, these tests need xvfb-run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    image::open(&path).expect("a screenshot of the window").into_rgb8()
}

/// The number of pixels in which two windows clearly differ.
fn differing(a: &RgbImage, b: &RgbImage) -> usize {
    assert_eq!(a.dimensions(), b.dimensions());
    a.pixels().zip(b.pixels()).filter(|(a, b)| (0..3).any(|i| a[i].abs_diff(b[i]) > 16)).count()
}

#[test]
fn the_window_shows_the_image_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.png");
    RgbImage::from_pixel(96, 96, image::Rgb([40, 200, 60])).save(&path).unwrap();
    let shown = screenshot(&[path.to_str().unwrap(), "--theme", "dark"]);
    let differing = differing(&shown, &screenshot(&["--theme", "dark"]));
    assert!(differing > 50_000, "it takes the place of the sample: {differing}");
}

/// For any driver, even though the window is resized while the models start to compute.
#[test]
fn the_window_looks_the_same_on_cpu_and_gpu() {
    let [gpu, cpu] = ["gpu", "cpu"].map(|device| screenshot_on(device, &["--theme", "dark"]));
    let apart = differing(&gpu, &cpu);
    // Allow for edges in the large image, which a different shader draws on the GPU.
    assert!(apart < 5_000, "{apart} pixels differ");
}

/// The model is a pipe, which nobody writes to until the window is open.
#[test]
#[cfg(unix)]
fn the_window_opens_while_the_model_is_read() {
    for device in ["cpu", "gpu"] {
        let home = tempfile::tempdir().unwrap();
        let [model, moved] = ["model.safetensors", "moved"].map(|name| home.path().join(name));
        assert!(Command::new("mkfifo").arg(&model).status().unwrap().success());
        let mut command = studio(home.path());
        command.args(["--device", device, "--model"]).arg(&model).env("RUST_LOG", "residua=info");
        command.arg("--screenshot").arg(home.path().join("window.png"));
        // xvfb-run joins the two.
        let (output, input) = std::io::pipe().unwrap();
        command.stdout(input.try_clone().unwrap()).stderr(input);
        let mut window = command.spawn().expect("on Linux without a screen, these tests need xvfb-run");
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains("the window opened in ")) {
            let line = lines.recv_timeout(Duration::from_secs(60));
            said.push(
                line.unwrap_or_else(|error| panic!("{device}: the window is not open: {error}: {said:?}")),
            );
        }
        // Now there is no model, and the pipe is empty, so the program ends.
        std::fs::rename(&model, &moved).unwrap();
        drop(File::options().read(true).write(true).open(&moved).unwrap());
        assert!(window.wait().unwrap().success(), "{device}: {:?}", lines.iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_theme_is_light_or_dark() {
    let mean =
        |image: RgbImage| image.iter().map(|&value| f64::from(value)).sum::<f64>() / image.len() as f64;
    let [light, dark] = ["light", "dark"].map(|theme| mean(screenshot(&["--theme", theme])));
    assert!(light > 150.0 && dark < 100.0, "{light} and {dark}");
}

/// The single line that the studio prints when started with only these displays.
#[cfg(target_os = "linux")]
fn refusal(displays: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
    command.args(["studio", "--device", "cpu"]).env("XDG_RUNTIME_DIR", home.path());
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    let output = command.envs(displays.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(!said.contains(".rs") && said.contains("residua help"), "{said}");
    said
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_display_one_line_says_what_to_do() {
    let none = refusal(&[]);
    assert!(none.contains("neither WAYLAND_DISPLAY nor DISPLAY is set"), "{none}");
    for display in [("DISPLAY", ":987"), ("WAYLAND_DISPLAY", "nowhere")] {
        let unreachable = refusal(&[display]);
        assert!(unreachable.contains(&format!("the display {}={}", display.0, display.1)), "{unreachable}");
    }
}
