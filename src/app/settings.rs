//! What the studio remembers from one day to the next.

use eframe::egui::ThemePreference;
use serde::{Deserialize, Serialize};

/// Recently opened models that are remembered.
const MOST_RECENT: usize = 8;

/// Remembered between runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Light, dark, or as the system says.
    pub theme: ThemePreference,
    /// Size of everything on the screen.
    pub zoom: f32,
    /// The model to load at the start.
    pub model: String,
    /// Where its RQ-VAE lies, if that had to be said.
    pub rqvae: Option<String>,
    /// Models opened before, latest first.
    pub recent: Vec<String>,
    /// Whether pictures are shown while they grow.
    pub preview: bool,
    /// Whether the seed stays as it is.
    pub seed_locked: bool,
    /// The seed.
    pub seed: u64,
    /// Pictures at a time.
    pub count: u32,
    /// Whether the first steps are still shown.
    pub hint: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemePreference::System,
            zoom: 1.0,
            model: crate::assets::bundled::BUNDLED[0].name.into(),
            rqvae: None,
            recent: Vec::new(),
            preview: true,
            seed_locked: false,
            seed: 0,
            count: 4,
            hint: true,
        }
    }
}

impl Settings {
    /// Puts `model`, whose RQ-VAE was said to lie at `rqvae`, first among the recent ones.
    pub fn opened(&mut self, model: &str, rqvae: Option<&str>) {
        if !lasts(model) || rqvae.is_some_and(|rqvae| !lasts(rqvae)) {
            return;
        }
        self.model = model.into();
        self.rqvae = rqvae.map(String::from);
        self.recent.retain(|other| other != model);
        if crate::assets::bundled::find(model).is_none() {
            self.recent.insert(0, model.into());
        }
        self.recent.truncate(MOST_RECENT);
    }
}

/// Whether a place will be there another day: files that a page has opened are not.
fn lasts(place: &str) -> bool {
    let bundled = crate::assets::bundled::find(place).is_some();
    !cfg!(target_family = "wasm") || bundled || place.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_model_comes_first_and_once() {
        let mut settings = Settings::default();
        for model in ["a", "b", "a", "emoji-64"] {
            settings.opened(model, None);
        }
        assert_eq!(settings.recent, ["a", "b"]);
        assert_eq!(settings.model, "emoji-64");
    }
}
