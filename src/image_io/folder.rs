//! The pictures in a folder.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files;

/// Endings of the formats that are read.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];

/// The files in `folder` whose names are those of pictures, by name; folders in it are not looked into.
///
/// # Errors
/// The folder cannot be read.
pub fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = files::list(folder)?.into_iter();
    Ok(found.filter(|path| is_picture(path) && files::is_file(path)).collect())
}

/// Whether a file's name is that of a picture.
pub fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_name_in_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["b.PNG", "a.jpeg", "notes.txt", "c.webp"] {
            std::fs::write(folder.path().join(name), b"").expect("writable");
        }
        std::fs::create_dir(folder.path().join("d.png")).expect("writable");
        let names: Vec<_> = pictures(folder.path())
            .expect("readable")
            .iter()
            .map(|p| p.file_name().map(|n| n.to_owned()))
            .collect();
        assert_eq!(names, ["a.jpeg", "b.PNG", "c.webp"].map(|name| Some(name.into())));
        let error = pictures(&folder.path().join("none")).expect_err("missing").to_string();
        assert!(error.starts_with("cannot read"), "{error}");
    }
}
