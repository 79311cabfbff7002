//! Paths of the models in an image's recipe. Images are shared, so they name models relative to their own
//! folder, never from the root of someone's machine; in memory, models are named like any other file.

use std::path::{Component, Path};

use serde_json::Value;

use super::png_text::Provenance;
use crate::assets::bundled;
use residua_core::files;

impl Provenance {
    /// For saving the image at `picture`: models are named relative to its folder, or if that is impossible,
    /// by file name.
    pub(super) fn seen_from(&self, picture: &Path) -> Self {
        let folder = picture.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        self.renamed(|name| {
            let path = Path::new(name);
            let last = || is_rooted(path).then(|| alone(path)).flatten();
            files::relative(path, folder).or_else(last)
        })
    }

    /// For the image read from `picture`: models that exist at the recorded place, relative to its folder,
    /// are named relative to the current folder. Those recorded from a root, such as that of a server, are named by
    /// file name and not looked for: whoever made the image must not choose where.
    pub fn located(self, picture: &Path) -> Self {
        let folder = picture.parent().unwrap_or(Path::new(""));
        self.renamed(|name| {
            if is_rooted(Path::new(name)) {
                return Some(alone(Path::new(name)).unwrap_or_else(|| "unnamed".into()));
            }
            let path = folder.join(name);
            let is_here = files::exists(&path) || run_of(&path).is_some_and(files::exists);
            is_here.then(|| path.display().to_string())
        })
    }

    /// Renames the models in the recipe for which `rename` returns a name.
    fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let recipe = self.recipe.as_ref().map(|text| match serde_json::from_str::<Value>(text) {
            Ok(mut recipe) => {
                for_each_model(&mut recipe, &|name| {
                    let is_path = bundled::find(name).is_none() && !name.contains("://");
                    if let Some(other) = is_path.then(|| rename(name)).flatten() {
                        *name = other;
                    }
                });
                recipe.to_string()
            }
            Err(_) => text.clone(),
        });
        Self { recipe, codes: self.codes.clone() }
    }
}

/// Whether `path` starts at a root or names a drive, and so replaces a folder that it is joined to.
fn is_rooted(path: &Path) -> bool {
    matches!(path.components().next(), Some(Component::Prefix(_) | Component::RootDir))
}

/// The file name at the end of `path`.
fn alone(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(String::from)
}

/// The folder of the run to which a checkpoint belongs, judging by its path. If the run continued, it may
/// have kept only later checkpoints.
pub fn run_of(model: &Path) -> Option<&Path> {
    let steps = model.parent()?;
    let checkpoints = steps.parent()?;
    let is_checkpoint =
        checkpoints.ends_with("checkpoints") && steps.file_name()?.to_str()?.parse::<u64>().is_ok();
    checkpoints.parent().filter(|_| is_checkpoint)
}

/// Calls `change` with the name of each model in `recipe`: any object with a name and a hash.
fn for_each_model(recipe: &mut Value, change: &impl Fn(&mut String)) {
    let Some(recipe) = recipe.as_object_mut() else { return };
    let has_hash = recipe.contains_key("sha256");
    for (key, value) in recipe {
        match value {
            Value::String(name) if has_hash && key == "name" => change(name),
            value => for_each_model(value, change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(provenance: &Provenance) -> [String; 2] {
        let recipe: Value = serde_json::from_str(provenance.recipe.as_ref().unwrap()).unwrap();
        [&recipe["rqvae"], &recipe["sampling"]["rqtransformer"]]
            .map(|model| model["name"].as_str().unwrap().into())
    }

    fn recipe(rqvae: &str, rqtransformer: &str) -> Provenance {
        let model = |name: &str| json!({ "name": name, "sha256": "0" });
        let recipe = json!({
            "made_by": "sample", "rqvae": model(rqvae),
            "sampling": { "rqtransformer": model(rqtransformer), "condition": { "class": "name" } },
        });
        Provenance { recipe: Some(recipe.to_string()), codes: None }
    }

    #[test]
    fn a_picture_moved_with_its_model_still_names_it() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        ["home/run", "home/out"].iter().for_each(|name| std::fs::create_dir_all(at(name)).unwrap());
        std::fs::write(at("home/run/model.safetensors"), "").unwrap();
        let model = at("home/run/model.safetensors").display().to_string();
        let saved = recipe(&model, "characters-128").seen_from(&at("home/out/000.png"));
        assert_eq!(names(&saved), ["../run/model.safetensors", "characters-128"]);
        std::fs::rename(at("home"), at("moved")).unwrap();
        let [found, other] = names(&saved.clone().located(&at("moved/out/000.png")));
        assert!(files::is_file(Path::new(&found)) && other == "characters-128", "{found}");
        // Saved elsewhere, the picture names the model relative to the new folder.
        let again = saved.located(&at("moved/out/000.png")).seen_from(&at("moved/again.png"));
        assert_eq!(names(&again), ["run/model.safetensors", "characters-128"]);
    }

    /// Looking for `\\server\share` on Windows would tell that server who opened the image.
    #[test]
    fn models_recorded_from_a_root_are_not_looked_for() {
        let place = tempfile::tempdir().unwrap();
        let model = place.path().join("model.pt");
        std::fs::write(&model, "").unwrap();
        let rooted = if cfg!(windows) { r"\\server\share" } else { "/" };
        let found = recipe(model.to_str().unwrap(), rooted).located(&place.path().join("a.png"));
        assert_eq!(names(&found), ["model.pt", "unnamed"]);
    }

    #[test]
    fn a_run_is_recognized_by_its_checkpoints() {
        let run = |path: &'static str| run_of(Path::new(path)).map(|run| run.display().to_string());
        assert_eq!(run("a/run/checkpoints/00000040/model.safetensors").as_deref(), Some("a/run"));
        assert_eq!(
            [run("a/00000040/model.safetensors"), run("checkpoints/x/a.pt"), run("a.pt")],
            [None, None, None]
        );
    }

    #[test]
    fn missing_models_keep_no_absolute_path() {
        let place = tempfile::tempdir().unwrap();
        let absolute = place.path().join("none/model.pt").display().to_string();
        let saved = recipe(&absolute, "none/relative.pt").seen_from(&place.path().join("a.png"));
        assert_eq!(names(&saved), ["model.pt", "none/relative.pt"]);
        let address = recipe("https://host/a.tar.gz", "none").seen_from(Path::new("a.png"));
        assert_eq!(names(&address), ["https://host/a.tar.gz", "none"]);
        let nothing = Provenance::default();
        assert_eq!(nothing.seen_from(Path::new("a.png")), nothing);
    }
}
