//! Settings kept between runs.

use eframe::egui::ThemePreference;
use serde::{Deserialize, Serialize};

use super::filters::Filters;
use residua_core::random::pcg4d;

/// Number of recent models kept.
const MOST_RECENT: usize = 8;

/// The studio's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Light, dark, or the system's.
    pub theme: ThemePreference,
    /// Zoom factor of the interface.
    pub zoom: f32,
    /// The model to load at the start.
    pub model: String,
    /// Path of its RQ-VAE, if it was given.
    pub rqvae: Option<String>,
    /// Models opened before, latest first.
    pub recent: Vec<String>,
    /// Show pictures while they are sampled.
    pub preview: bool,
    /// Keep the seed from one sampling to the next.
    pub seed_locked: bool,
    /// The seed.
    pub seed: u64,
    /// Pictures to sample at once.
    pub count: u32,
    /// The filters that were set last, unless they are the published ones. They apply only to their model.
    pub filters: Option<Filters>,
    /// Show the first steps.
    pub hint: bool,
    /// Fold all other panels away.
    pub only_picture: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemePreference::System,
            zoom: 1.0,
            model: residua_io::assets::bundled::BUNDLED[0].name.into(),
            rqvae: None,
            recent: Vec::new(),
            preview: true,
            seed_locked: false,
            seed: 0,
            count: 4,
            filters: None,
            hint: true,
            only_picture: false,
        }
    }
}

impl Settings {
    /// Picks the next seed, derived from the current one.
    pub fn next_seed(&mut self) {
        self.seed = pcg4d([self.seed as u32, 1, 2, 3])[0].into();
    }

    /// Picks a random seed.
    pub fn random_seed(&mut self) {
        let now = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH).unwrap_or_default();
        self.seed = pcg4d([now.as_secs() as u32, now.subsec_nanos(), 0, 0])[0].into();
    }

    /// Puts `model` first among the recent ones. `rqvae` is the path of its RQ-VAE, if given.
    pub fn opened(&mut self, model: &str, rqvae: Option<&str>) {
        if !lasts(model) || rqvae.is_some_and(|rqvae| !lasts(rqvae)) {
            return;
        }
        self.model = model.into();
        self.rqvae = rqvae.map(String::from);
        self.recent.retain(|other| other != model);
        if residua_io::assets::bundled::find(model).is_none() {
            self.recent.insert(0, model.into());
        }
        self.recent.truncate(MOST_RECENT);
    }
}

/// True if a place can be opened again in a later run. Files opened in a browser cannot.
fn lasts(place: &str) -> bool {
    let bundled = residua_io::assets::bundled::find(place).is_some();
    !cfg!(target_family = "wasm") || bundled || place.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_models_are_listed_once_latest_first() {
        let mut settings = Settings::default();
        for model in ["a", "b", "a", "characters-128-ar"] {
            settings.opened(model, None);
        }
        assert_eq!(settings.recent, ["a", "b"]);
        assert_eq!(settings.model, "characters-128-ar");
    }
}
