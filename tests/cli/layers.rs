//! Messages of the engine suit every interface: only the command line names its options.

use std::path::{Path, PathBuf};

/// The Rust files in `folder` and below, except for `left_out`.
fn sources(folder: &Path, left_out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { sources(&path, left_out) } else { vec![path] };
    let all = entries.filter(|path| path != left_out).flat_map(below);
    all.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// Whether `line` contains an option such as `--class`.
fn names_an_option(line: &str) -> bool {
    line.match_indices("--").any(|(at, dashes)| {
        let (before, after) = (&line[..at], &line[at + dashes.len()..]);
        !before.ends_with(['-', '<', '!']) && after.starts_with(|c: char| c.is_ascii_lowercase())
    })
}

#[test]
fn only_the_command_line_names_options() {
    assert!(names_an_option("use --device cpu") && !names_an_option("<!-- text --> ---"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "crates"].map(|folder| root.join(folder));
    let all = folders.iter().filter(|folder| folder.exists());
    let all: Vec<PathBuf> = all.flat_map(|folder| sources(folder, &root.join("src/cli"))).collect();
    assert!(all.len() > 300, "{}", all.len());
    for file in all {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().find(|line| names_an_option(line)), None, "{}", file.display());
    }
}
