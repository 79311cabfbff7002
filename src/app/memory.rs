//! Values kept between runs in eframe's storage, as JSON.

use eframe::Storage;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The value stored under `key`, if this version can still read it.
pub fn recall<T: DeserializeOwned>(storage: &dyn Storage, key: &str) -> Option<T> {
    serde_json::from_str(&storage.get_string(key)?).ok()
}

/// Stores `value` under `key`.
pub fn remember(storage: &mut dyn Storage, key: &str, value: &impl Serialize) {
    // Settings and layouts are plain data, so serialization does not fail.
    if let Ok(text) = serde_json::to_string(value) {
        storage.set_string(key, text);
    }
}
