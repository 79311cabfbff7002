//! The modules form layers: each uses only itself and those before it, and only the topmost know of windows.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library, from the bottom up.
const LAYERS: [&str; 25] = [
    "error",
    "text",
    "random",
    "warnings",
    "host",
    "files",
    "task",
    "codes",
    "sampling",
    "config",
    "trust",
    "assets",
    "image_io",
    "tokenizer",
    "weights",
    "device",
    "kernels",
    "model",
    "generate",
    "metrics",
    "train",
    "engine",
    "app",
    "cli",
    "web",
];
/// The first layer that may use Burn, and the first that may use egui.
const COMPUTES: &str = "device";
const DRAWS: &str = "app";
/// What the root and the tests have for all.
const EVERYWHERE: [&str; 3] = ["Error", "Result", "testing"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .chain(folders.iter().flat_map(|folder| sources(folder)))
        .collect()
}

/// The code of a file, without comments and without its tests, which may look at everything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix` in `code`.
fn after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.split(prefix)
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        })
        .map(|name| name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|&name| name == layer)
}

#[test]
fn modules_use_only_the_layers_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in sources(&root) {
        let place = path.strip_prefix(&root).expect("below src").to_path_buf();
        let top = place.components().next().expect("a name").as_os_str().to_string_lossy();
        let top = top.trim_end_matches(".rs");
        if ["lib", "main", "testing"].contains(&top) {
            continue;
        }
        let own =
            rank(top).unwrap_or_else(|| panic!("{}: name its layer in tests/layers.rs", place.display()));
        let code = code(&path);
        for used in after(&code, "crate::").filter(|used| !EVERYWHERE.contains(used)) {
            seen += 1;
            if rank(used).is_none_or(|used| used > own) {
                wrong.push(format!("{}: {top} uses {used}", place.display()));
            }
        }
        for (krate, first) in
            [("burn", COMPUTES), ("burn_cubecl", COMPUTES), ("egui", DRAWS), ("eframe", DRAWS)]
        {
            if rank(first) > Some(own) && code.contains(&format!("{krate}::")) {
                wrong.push(format!("{}: {top} uses {krate}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // If nothing was found, this test would no longer read the sources as they are written.
    assert!(seen > 500, "{seen}");
}
