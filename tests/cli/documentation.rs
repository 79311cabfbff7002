//! The documentation: links point to existing files, and commands use existing options.

use std::path::{Path, PathBuf};
use std::process::Command;

/// All pages with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs/src", "web", "assets/emoji-64", "assets/characters-128", "assets/tokenizers"];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let pages =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn links_point_to_files() {
    let mut count = 0;
    for (page, text) in pages() {
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            count += 1;
            assert!(page.parent().unwrap().join(target).exists(), "{}: {target}", page.display());
        }
    }
    assert!(count > 30, "{count}");
}

/// Lines in console blocks that call the program.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("residua ")).collect()
}

fn help(words: &[&str]) -> Option<String> {
    let program = Command::new(env!("CARGO_BIN_EXE_residua")).args(words).arg("--help").output().unwrap();
    program.status.success().then(|| String::from_utf8(program.stdout).unwrap())
}

#[test]
fn commands_use_existing_options() {
    let mut count = 0;
    for (page, text) in pages() {
        for line in commands(&text) {
            let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
            // `train rqvae` and `eval fid` are two words; the word after `reconstruct` is a file.
            let nested = ["train", "eval"].contains(&words[0]);
            let help = help(&words[..1 + usize::from(nested)]);
            let help = help.unwrap_or_else(|| panic!("{}: no such command: {line}", page.display()));
            for option in words.iter().filter(|word| word.starts_with('-')) {
                count += 1;
                let known =
                    help.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == *option);
                assert!(known, "{}: {option} of {line}", page.display());
            }
        }
    }
    assert!(count > 40, "{count}");
}
