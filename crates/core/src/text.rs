//! Formats numbers, names and paths for people.

use std::path::Path;

use unicode_normalization::UnicodeNormalization;

/// `name` in composed form (NFC): some systems decompose file names, others keep them as typed.
pub fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// The name of the file or folder at `path`, or all of a path without one.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Formats bytes with a unit.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Formats 1234567 as 1,234,567.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        (0..digits.len()).rev().step_by(3).map(|end| &digits[end.saturating_sub(2)..=end]).collect();
    groups.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// Formats a count of `thing`, such as `1 file` or `2 files`.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{} {thing}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// How many names a message lists.
const NAMED: usize = 8;

/// Lists the first `names`, and says how many more there are: a message stays one line, however many names it has.
pub fn some_of(names: &[String]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {} more", grouped(more)),
    }
}

/// Serializes a path as text, even if it is not UTF-8.
///
/// # Errors
/// Those of `serializer`.
pub fn shown_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_threes() {
        let cases = [(0, "0"), (12, "12"), (123, "123"), (1234, "1,234"), (1234567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
        assert_eq!(some_of(&names[..8]), "0, 1, 2, 3, 4, 5, 6, 7");
        assert_eq!(some_of(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 1,992 more");
        assert_eq!(some_of(&[]), "");
    }

    #[test]
    fn units_fit_their_numbers() {
        let cases = [(0, "0.0 kB"), (999_949, "999.9 kB"), (1_000_000, "1.0 MB"), (2_500_000_000, "2.50 GB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!((counted(1, "file"), counted(0, "file")), ("1 file".into(), "0 files".into()));
    }
}
