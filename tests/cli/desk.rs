//! A scratch folder to run the program in, and the results of runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::RgbImage;
use residua_core::codes::CodeStack;
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use serde_json::Value;
use tempfile::TempDir;

/// A scratch folder, removed when dropped.
pub struct Desk(TempDir);

/// The output of a run.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Words in commands that choose a device or do not compute.
const WITHOUT_DEVICE: [&str; 10] =
    ["info", "convert", "devices", "merge", "--device", "--list", "--plan", "help", "--help", "--version"];

/// The path of a file in `tests/fixtures`, or in `assets/samples` if `path` starts with `samples/`.
pub fn given(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = if path.starts_with("fixtures/") { "tests" } else { "assets" };
    root.join(folder).join(path)
}

/// Splits a command line into words, and expands the paths of fixtures and samples.
pub fn words(line: &str) -> Vec<String> {
    let is_given = |word: &str| word.starts_with("fixtures/") || word.starts_with("samples/");
    let resolve =
        |word: &str| if is_given(word) { given(word).display().to_string() } else { word.to_string() };
    let mut words: Vec<String> = line.split_whitespace().map(resolve).collect();
    if !words.iter().any(|word| WITHOUT_DEVICE.contains(&word.as_str())) {
        words.extend(["--device".into(), "cpu".into()]);
    }
    words
}

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a folder `data` of forty pictures in two classes, some of them held out: bright at the bottom, and bright
    /// on the right.
    pub fn with_pictures() -> Self {
        let desk = Self::new();
        for i in 0..40 {
            let (class, along) = [("rows", 16), ("columns", 1)][i % 2];
            let values = (0..3 * 256).map(|j| (j / along % 16) as f32 / 16.0 * (1.0 + i as f32 / 40.0) - 1.0);
            let path = desk.path(&format!("data/{class}/{i}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let picture = Picture::new(16, 16, values.collect()).unwrap();
            picture.save_png(&path, &Provenance::default()).unwrap();
        }
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Copies a fixture or sample.
    pub fn copy(&self, from: &str, to: &str) {
        self.write(to, std::fs::read(given(from)).unwrap());
    }

    /// The program, ready to run in this folder with the words of `line`; on the CPU unless `line` says
    /// otherwise.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
        command.args(words(line)).current_dir(self.0.path()).env_remove("RUST_LOG");
        command
    }

    pub fn run(&self, line: &str) -> Run {
        Run::of(self.command(line).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub fn does(&self, line: &str) -> Run {
        let run = self.run(line);
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
        run
    }

    /// The result of a command that must succeed and print exactly one JSON document to stdout.
    pub fn json(&self, line: &str) -> Value {
        self.does(&format!("--json {line}")).json()
    }

    /// Runs a command that must fail with `code` and one line that contains `message`, and leave no files
    /// behind.
    pub fn refuses(&self, line: &str, code: i32, message: &str) {
        let before = self.files();
        let run = self.run(line);
        run.is_refusal(line, code, message);
        assert_eq!(self.files(), before, "{line} left files behind");
    }

    /// All files in this folder and its subfolders, including hidden ones.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.0.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.extend([path]) }
            }
        }
        found
    }

    pub fn pixels(&self, name: &str) -> RgbImage {
        image::open(self.path(name)).unwrap().to_rgb8()
    }

    /// The recipe that a PNG carries.
    pub fn recipe(&self, name: &str) -> Value {
        let recipe = Provenance::read(&std::fs::read(self.path(name)).unwrap()).unwrap().recipe.unwrap();
        serde_json::from_str(&recipe).unwrap()
    }

    /// The codes that a PNG carries.
    pub fn codes(&self, name: &str) -> CodeStack {
        Provenance::read(&std::fs::read(self.path(name)).unwrap()).unwrap().codes.unwrap()
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asserts that the run failed with `code` and one line that contains `message`.
    pub fn is_refusal(&self, line: &str, code: i32, message: &str) {
        assert_eq!(self.code, Some(code), "{line}: {self:?}");
        let (lines, others): (Vec<&str>, Vec<&str>) =
            self.stderr.lines().partition(|line| line.starts_with("residua: "));
        assert!(matches!(lines[..], [only] if only.contains(message)), "{line}: no {message:?}: {self:?}");
        assert!(others.iter().all(|line| line.trim_start().starts_with("WARN ")), "{line}: {self:?}");
        assert_eq!(self.stdout, "", "{line}");
    }

    /// The JSON document that the run printed, and nothing else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that a warning contains `message`.
    pub fn warns(&self, message: &str) {
        let mut lines = self.stderr.lines();
        let found = lines.any(|line| line.trim_start().starts_with("WARN ") && line.contains(message));
        assert!(found, "no warning contains {message:?}: {self:?}");
    }
}

/// The code stacks in the result of `--json sample` or `complete`.
pub fn stacks(result: &Value) -> Vec<CodeStack> {
    serde_json::from_value(result["stacks"].clone()).unwrap()
}
