//! The reader of configurations.

use residua_core::config::Config;

/// Reads a configuration; one that is accepted is written as JSON, as converted weights carry it, and read again. What
/// is refused is refused with one line.
pub fn read_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match crate::within_bounds(bytes.len(), || Config::parse("input", text)) {
        Ok(config) => {
            let again = Config::parse("again", &config.document.to_string()).expect("JSON is YAML");
            assert_eq!(again.document, config.document);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}
