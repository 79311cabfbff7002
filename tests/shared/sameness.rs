//! Whether several processes made the files and the figures of one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::desk::Desk;

/// All files below `folder`, by their names in it.
pub fn contents(desk: &Desk, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let root = desk.path(folder);
    let below = desk.files().into_iter().filter_map(|path| {
        let name = path.strip_prefix(&root).ok()?.display().to_string();
        Some((name, std::fs::read(&path).unwrap()))
    });
    below.collect()
}

/// Asserts that all numbers are equal to a relative error of 1e-6, and all else exactly.
pub fn assert_same(found: &Value, expected: &Value, at: &str) {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{at}: {a}, expected {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| assert_same(a, b, &format!("{at}[{i}]")));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{at}: {found}, expected {expected}");
            b.iter().for_each(|(key, b)| assert_same(&a[key], b, &format!("{at}.{key}")));
        }
        _ => assert_eq!(found, expected, "{at}"),
    }
}
