//! The output of `residua sample`, to compare with.

use std::path::Path;
use std::process::Command;

use residua_core::codes::CodeStack;
use residua_io::image_io::png_text::Provenance;

/// A class of the bundled model other than the first.
pub const CLASS: &str = "Food & Drink";

/// Runs `residua sample` with the published settings and `arguments` into `folder`, and returns the codes of
/// its images.
pub fn sample(folder: &Path, seed: u64, count: usize, arguments: &[&str]) -> Vec<CodeStack> {
    let done = Command::new(env!("CARGO_BIN_EXE_residua"))
        .args(["sample", "--device", "cpu", "--class", CLASS, "--seed", &seed.to_string()])
        .args(["-n", &count.to_string()])
        .args(arguments)
        .arg("--out")
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
