//! The folder in which the program remembers things.

use std::env::{home_dir, var_os};
use std::path::PathBuf;

/// Where the studio keeps its settings, even in a program without it.
pub fn of_settings() -> Option<PathBuf> {
    let named = |variable| var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let at_home = |folder| home_dir().map(|home| home.join(folder));
    if cfg!(windows) {
        named("APPDATA").map(|folder| folder.join("residua").join("data"))
    } else if cfg!(target_os = "macos") {
        at_home("Library/Application Support/residua")
    } else {
        named("XDG_DATA_HOME").or_else(|| at_home(".local/share")).map(|folder| folder.join("residua"))
    }
}

#[cfg(all(test, feature = "studio"))]
mod tests {
    use super::*;

    #[test]
    fn the_studio_keeps_its_settings_there() {
        assert_eq!(of_settings(), eframe::storage_dir("residua"));
    }
}
