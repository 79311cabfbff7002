//! The output of `residua sample`, to compare with.

use std::path::Path;
use std::process::Command;

use residua_core::codes::CodeStack;
use residua_io::image_io::png_text::Provenance;

use crate::desk::SMALL;

/// A class of the small model other than the first.
pub const CLASS: u32 = 4;

/// Runs `residua sample` for that class with the published settings and `arguments` into `folder`, and returns the codes of
/// its images.
pub fn sample(folder: &Path, seed: u64, count: usize, arguments: &[&str]) -> Vec<CodeStack> {
    let [class, seed, number] = [CLASS.to_string(), seed.to_string(), count.to_string()];
    let sample = ["sample", "--model", SMALL, "--class", &class, "--seed", &seed, "-n", &number];
    made(folder, count, &[&sample[..], arguments].concat())
}

/// Runs `residua` with `arguments` and `folder` for its images, and returns the codes of the first `count`.
pub fn made(folder: &Path, count: usize, arguments: &[&str]) -> Vec<CodeStack> {
    let done = Command::new(env!("CARGO_BIN_EXE_residua"))
        .args(arguments)
        .args(["--device", "cpu", "--out"])
        .arg(folder)
        .output()
        .expect("the program runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (0..count)
        .map(|index| provenance(&folder.join(format!("{index:03}.png"))).codes.expect("codes"))
        .collect()
}

/// The metadata in an image file.
pub fn provenance(path: &Path) -> Provenance {
    Provenance::read(&std::fs::read(path).expect("readable")).expect("whole")
}
