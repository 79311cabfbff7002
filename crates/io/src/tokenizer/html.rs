//! Decodes HTML character references (`&eacute;`, `&#233;`, `&#xe9;`), like Python's `html.unescape`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::assets::text;
use residua_assets::HTML_ENTITIES;
use residua_core::error::{Error, Result};

/// Anything that may be a reference, with or without its semicolon.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)").expect("a constant pattern")
});

/// A reference that ends with a semicolon.
static STRICT_REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"&(#?[0-9A-Za-z]{1,24};)").expect("a constant pattern"));

/// Windows-1252 from 0x80 to 0x9F. Its five gaps keep the control character.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// The intended character of a C1 control character (U+0080 to U+009F): its byte, read as Windows-1252. Any
/// other character is returned unchanged.
pub(super) fn without_c1(character: char) -> char {
    (character as usize).checked_sub(0x80).and_then(|at| WINDOWS_1252.get(at)).copied().unwrap_or(character)
}

/// The named references of the HTML standard.
pub(super) struct Entities(HashMap<String, String>);

impl Entities {
    /// Loads the table.
    pub(super) fn new() -> Result<Self> {
        serde_json::from_str(&text(HTML_ENTITIES)?).map(Self).map_err(|error| {
            Error::invalid(format!("the compiled-in HTML entities are damaged ({error}): rebuild"))
        })
    }

    /// Decodes all references, even without a semicolon: `html.unescape`.
    pub(super) fn unescape<'a>(&self, text: &'a str) -> Cow<'a, str> {
        REFERENCE.replace_all(text, |found: &Captures| match found[1].strip_prefix('#') {
            Some(number) => numbered(number),
            None => self.named(&found[1]),
        })
    }

    /// Decodes only unambiguous references: those with a semicolon, and lower-case names written in capitals
    /// (`&EACUTE;`): `ftfy.fixes.unescape_html`.
    pub(super) fn unescape_strict<'a>(&self, text: &'a str) -> Cow<'a, str> {
        STRICT_REFERENCE.replace_all(text, |found: &Captures| {
            let decoded = match &found[1] {
                // A remaining semicolon indicates a number followed by letters, or a reference to a
                // semicolon.
                number if number.starts_with('#') => {
                    Some(self.unescape(&found[0]).into_owned()).filter(|decoded| !decoded.contains(';'))
                }
                name => self.0.get(name).cloned().or_else(|| self.capitals(name)),
            };
            decoded.unwrap_or_else(|| found[0].to_owned())
        })
    }

    /// Decodes the longest name at the start of `text` and appends the rest; returns everything unchanged if
    /// there is no name.
    fn named(&self, text: &str) -> String {
        let ends = text.char_indices().map(|(at, character)| at + character.len_utf8()).skip(1);
        let longest = ends.collect::<Vec<_>>().into_iter().rev().find_map(|end| {
            let (name, rest) = text.split_at(end);
            Some([self.0.get(name)?, rest].concat())
        });
        longest.unwrap_or_else(|| ["&", text].concat())
    }

    fn capitals(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        let is_capitals = lower.to_ascii_uppercase() == name;
        let is_nothing_else = self.named(name).starts_with('&');
        self.0.get(&lower).filter(|_| is_capitals && is_nothing_else).map(|text| text.to_uppercase())
    }
}

/// The text of a numeric reference: decimal, or hexadecimal after an `x`.
fn numbered(reference: &str) -> String {
    let digits = reference.trim_end_matches(';');
    let parsed = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    // Overflows and invalid characters (surrogates, above U+10FFFF) become the replacement character.
    match parsed.ok().and_then(char::from_u32) {
        None | Some('\0') => "\u{FFFD}".to_owned(),
        Some(character @ ('\r' | '\u{80}'..='\u{9F}')) => without_c1(character).to_string(),
        Some(character) if is_forbidden(character) => String::new(),
        Some(character) => character.to_string(),
    }
}

/// Control characters and noncharacters, to which HTML does not allow numeric references.
fn is_forbidden(character: char) -> bool {
    matches!(character, '\u{1}'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}' | '\u{FDD0}'..='\u{FDEF}')
        || character as u32 & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs generated with `html.unescape` of Python 3.11.
    #[test]
    fn decoding_matches_python() {
        let entities = Entities::new().unwrap();
        for (text, expected) in [
            ("&amp;&lt;&eacute;&#233;&#xE9;&#XE9", "&<éééé"),
            ("&notit; &notin; &not", "¬it; ∉ ¬"),
            ("&unknown; & &; &a &#; &#x;", "&unknown; & &; &a &#; &#x;"),
            ("&acE;&NewLine;|", "∾̳\n|"),
            ("&#0;&#x80;&#x81;&#13;&#1;&#x7f;", "\u{FFFD}€\u{81}\r"),
            ("&#xD800;&#x110000;&#99999999999;&#xFFFE;&#xFDD0;", "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ("&amp;amp;", "&amp;"),
            ("&ampé&ltü;", "&é<ü;"),
        ] {
            assert_eq!(entities.unescape(text), expected, "{text}");
        }
    }

    /// Pairs generated with `unescape_html` of ftfy 6.3.1.
    #[test]
    fn strict_decoding_is_limited_to_unambiguous_references() {
        let entities = Entities::new().unwrap();
        for (text, expected) in [
            ("this&not that &amp", "this&not that &amp"),
            ("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;"),
            ("BUNDESSTRA&SZLIG;E", "BUNDESSTRASSE"),
            ("&#65; &#12ab; &#59; &NOTX;", "A &#12ab; &#59; &NOTX;"),
        ] {
            assert_eq!(entities.unescape_strict(text), expected, "{text}");
        }
    }
}
