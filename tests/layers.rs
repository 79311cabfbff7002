//! The crates form layers, and only the topmost know of tensors or windows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates, from the bottom up: each uses only those before it.
const LAYERS: [&str; 13] = [
    "assets", "shaders", "core", "io", "weights", "metrics", "protocol", "kernels", "model", "judges",
    "train", "engine", "",
];
/// The first layer that needs Burn, and the first that draws.
const COMPUTES: &str = "kernels";
const DRAWS: &str = "";
/// Packages of tensors and of windows.
const TENSORS: [&str; 3] = ["burn", "burn-flex", "cubecl"];
const WINDOWS: [&str; 4] = ["egui", "eframe", "winit", "rfd"];
/// The features of the topmost package without its window.
const WITHOUT_WINDOW: [&str; 3] = ["--no-default-features", "--features", "models"];
/// A crate that only tests use.
const TESTING: &str = "residua-testing";

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["--offline", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn package(layer: &str) -> String {
    if layer.is_empty() { "residua".into() } else { format!("residua-{layer}") }
}

fn rank(layer: &str) -> usize {
    LAYERS.iter().position(|&name| name == layer).expect("a layer")
}

/// The packages that `package` is built from with `features`, itself included.
fn parts(package: &str, features: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--package", package];
    let tree = cargo(&[&tree, features].concat());
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
}

#[test]
fn crates_use_only_the_layers_below_them() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert_eq!(
        packages.len(),
        LAYERS.len() + 1,
        "name each crate in LAYERS; residua-testing is for tests only"
    );
    for layer in LAYERS {
        let name = package(layer);
        let found =
            packages.iter().find(|package| package["name"] == name).unwrap_or_else(|| panic!("{name}"));
        let is_for_tests = |used: &Value| used["kind"] == "dev" && used["name"] == TESTING;
        let used = found["dependencies"].as_array().expect("a list").iter();
        let used = used.filter(|used| used["kind"] != "build" && !is_for_tests(used));
        for used in used.filter_map(|used| used["name"].as_str()?.strip_prefix("residua-")) {
            assert!(LAYERS.contains(&used), "{name} uses residua-{used} outside its tests");
            assert!(rank(used) < rank(layer), "{name} uses residua-{used}, a layer above it");
        }
    }
}

#[test]
fn lower_layers_need_no_tensors_and_draw_no_windows() {
    for (packages, first) in [(&TENSORS[..], COMPUTES), (&WINDOWS[..], DRAWS)] {
        for layer in &LAYERS[..rank(first)] {
            has_none(packages, &package(layer), &[]);
        }
        // Where they belong they are found, so the names above are still those of the packages.
        has_all(packages, &package(first), &[]);
    }
}

#[test]
fn programs_that_only_compute_need_no_windows() {
    has_none(&WINDOWS, &package(DRAWS), &WITHOUT_WINDOW);
    has_all(&TENSORS, &package(DRAWS), &WITHOUT_WINDOW);
}

fn has_none(packages: &[&str], package: &str, features: &[&str]) {
    let parts = parts(package, features);
    let wrong: Vec<_> = packages.iter().filter(|&&package| parts.contains(package)).collect();
    assert!(wrong.is_empty(), "{package} is built from {wrong:?}");
}

fn has_all(packages: &[&str], package: &str, features: &[&str]) {
    let parts = parts(package, features);
    assert!(packages.iter().all(|&package| parts.contains(package)), "{package}: {packages:?}");
}

/// The files of the studio that may know its panels: the list, the window, its menu, and the layout.
const ABOVE_PANELS: [&str; 4] = ["panels/mod.rs", "mod.rs", "menu.rs", "layout.rs"];
/// What changes the state, by itself or in a function that it passes on. An action says what to do, so it holds none.
const CHANGES: [&str; 3] = ["&mut State", "&mut Studio", "|state|"];
/// An action's function over the state.
const FUNCTION: &str = "fn(&mut State";
/// What panels share.
const SHARED: [&str; 2] = ["parts", "condition"];

/// The files in `folder` and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What draws reads the state and returns actions. A panel knows no other panel, and the state knows none.
#[test]
fn the_studios_panels_do_not_know_each_other() {
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app");
    let (mut uses, mut changers) = (0, 0);
    for file in files(&app) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let place =
            file.strip_prefix(&app).expect("in the folder").to_str().expect("UTF-8").replace('\\', "/");
        let panel = place.strip_prefix("panels/").filter(|panel| *panel != "mod.rs");
        let changes = CHANGES.iter().any(|change| text.contains(change));
        let draws = panel.is_some() || text.contains("ui: &mut Ui");
        assert!(!(draws && changes), "{place} changes the state itself: return an action with a name");
        assert!(!text.contains(FUNCTION), "{place} passes on a function over the state: name the action");
        changers += usize::from(changes);
        if ABOVE_PANELS.contains(&place.as_str()) {
            continue;
        }
        for line in text.lines().filter(|line| line.trim_start().starts_with("use ")) {
            let Some((_, used)) = line.split_once("panels::") else { continue };
            let used = used.split([':', ';']).next().expect("never empty");
            assert!(panel.is_some() && SHARED.contains(&used), "{place} uses panels::{used}");
            uses += 1;
        }
    }
    assert!(uses > 10 && changers > 2, "the patterns above still match: {uses}, {changers}");
}
