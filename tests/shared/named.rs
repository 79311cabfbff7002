//! A class-conditional model whose classes have names.

use std::fs;
use std::path::Path;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// The names of its classes.
pub const CLASSES: [&str; 10] = [
    "Birds",
    "Cats & Dogs",
    "Flags",
    "Flowers",
    "Food & Drink",
    "Houses",
    "Insects",
    "People",
    "Ships",
    "Trees",
];

/// Writes it into `folder`: the fixture `rqt-class`, with names for its classes beside it.
pub fn write(folder: &Path) {
    let fixture = Path::new(FIXTURES).join("rqt-class");
    fs::create_dir_all(folder).unwrap();
    fs::copy(fixture.join("model.pt"), folder.join("model.pt")).unwrap();
    // The configuration names its RQ-VAE relative to the fixture.
    let config = fs::read_to_string(fixture.join("config.yaml")).unwrap();
    let config = config.replace("../rqvae-shared", &format!("{FIXTURES}/rqvae-shared"));
    fs::write(folder.join("config.yaml"), config).unwrap();
    fs::write(folder.join("classes.txt"), CLASSES.join("\n")).unwrap();
}
