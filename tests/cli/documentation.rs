//! The documentation: links point to existing files and headings, the book is complete, and commands use existing
//! options.

use std::path::{Path, PathBuf};
use std::process::Command;

/// All pages with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs/src", "web", "shaders", "assets", "assets/characters-128", "assets/tokenizers"];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let pages =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The targets of a page's links, except for other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("http"))
}

/// The anchors of a page's headings, as GitHub and mdBook name them.
fn anchors(text: &str) -> Vec<String> {
    let anchor = |heading: &str| -> String {
        let heading = heading.trim_matches(['#', ' ']).to_lowercase().replace(' ', "-");
        heading.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
    };
    text.lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

#[test]
fn links_point_to_files_and_headings() {
    let mut count = 0;
    for (page, text) in pages() {
        for target in links(&text) {
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target}", page.display());
            let exists =
                || anchors(&std::fs::read_to_string(&file).unwrap()).iter().any(|known| known == anchor);
            assert!(anchor.is_empty() || exists(), "{}: {target}", page.display());
        }
    }
    assert!(count > 30, "{count}");
}

/// The book has every page of its folder, and needs no file outside of it.
#[test]
fn the_book_is_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src");
    let summary = std::fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<PathBuf> = links(&summary).map(|link| folder.join(link)).collect();
    listed.push(folder.join("SUMMARY.md"));
    let chapters = pages().into_iter().filter(|(page, _)| page.starts_with(&folder));
    for (page, text) in chapters {
        assert!(listed.contains(&page), "{} is not in SUMMARY.md", page.display());
        for target in links(&text) {
            assert!(!target.starts_with(".."), "{}: {target} is outside the book", page.display());
        }
    }
}

#[test]
fn chores_call_existing_scripts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chores = std::fs::read_to_string(root.join("justfile")).unwrap();
    let commands = chores.lines().filter_map(|line| line.strip_prefix("    "));
    let scripts: Vec<&str> =
        commands.filter_map(|line| line.split(' ').next()).filter(|word| word.contains('/')).collect();
    assert!(scripts.len() > 8, "{scripts:?}");
    for script in scripts {
        assert!(root.join(script).exists(), "justfile: {script}");
    }
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
