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
    use egui_tiles::Tree;

    use crate::app::panels::{Panel, first_layout};

    #[test]
    fn a_layout_has_a_form_in_json() {
        let text = serde_json::to_string(&first_layout()).unwrap();
        assert_eq!(serde_json::from_str::<Tree<Panel>>(&text).unwrap(), first_layout());
    }
}
