//! What the window's storage keeps from one run to the next: JSON, by key.

use eframe::Storage;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What lies under `key`, if it is still as this version writes it.
pub fn recall<T: DeserializeOwned>(storage: &dyn Storage, key: &str) -> Option<T> {
    serde_json::from_str(&storage.get_string(key)?).ok()
}

/// Keeps `value` under `key`.
pub fn remember(storage: &mut dyn Storage, key: &str, value: &impl Serialize) {
    // Settings and layouts are plain data: nothing in them has no form in JSON.
    if let Ok(text) = serde_json::to_string(value) {
        storage.set_string(key, text);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use egui_tiles::Tree;

    use super::*;
    use crate::app::panels::{Panel, first_layout};
    use crate::app::settings::Settings;

    #[derive(Default)]
    struct Kept(HashMap<String, String>);

    impl Storage for Kept {
        fn get_string(&self, key: &str) -> Option<String> {
            self.0.get(key).cloned()
        }
        fn set_string(&mut self, key: &str, value: String) {
            self.0.insert(key.into(), value);
        }
        fn remove_string(&mut self, key: &str) {
            self.0.remove(key);
        }
        fn flush(&mut self) {}
    }

    #[test]
    fn settings_and_layout_come_back() {
        let mut kept = Kept::default();
        let settings = Settings { zoom: 1.25, hint: false, ..Settings::default() };
        remember(&mut kept, "settings", &settings);
        remember(&mut kept, "layout", &first_layout());
        assert_eq!(recall(&kept, "settings"), Some(settings));
        assert_eq!(recall::<Tree<Panel>>(&kept, "layout"), Some(first_layout()));
    }

    #[test]
    fn what_another_version_wrote_is_forgotten() {
        let mut kept = Kept::default();
        kept.set_string("settings", "(zoom:1.25)".into());
        assert_eq!(recall::<Settings>(&kept, "settings"), None);
        assert_eq!(recall::<Settings>(&kept, "layout"), None);
    }
}
