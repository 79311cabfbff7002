//! Repairs web text to the extent that it affects a caption's tokens: `fix_text` of Python's ftfy, which CLIP
//! applies.
//!
//! Not implemented: mojibake repair (`cafÃ©`), which needs ftfy's large tables and its scores of what looks
//! wrong, and line breaks, which are white space in any form.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::html::{Entities, without_c1};

/// Terminal escapes for colours and cursor movements.
static TERMINAL_ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\x1B\[[\d;]*[a-zA-Z]").expect("a constant pattern"));

/// Latin ligatures and their letters. NFKC is not used for these: it would decompose other characters too.
const LIGATURES: [(char, &str); 22] = [
    ('Ĳ', "IJ"),
    ('ĳ', "ij"),
    ('ŉ', "ʼn"),
    ('Ǳ', "DZ"),
    ('ǲ', "Dz"),
    ('ǳ', "dz"),
    ('Ǆ', "DŽ"),
    ('ǅ', "Dž"),
    ('ǆ', "dž"),
    ('Ǉ', "LJ"),
    ('ǈ', "Lj"),
    ('ǉ', "lj"),
    ('Ǌ', "NJ"),
    ('ǋ', "Nj"),
    ('ǌ', "nj"),
    ('ﬀ', "ff"),
    ('ﬁ', "fi"),
    ('ﬂ', "fl"),
    ('ﬃ', "ffi"),
    ('ﬄ', "ffl"),
    ('ﬅ', "ſt"),
    ('ﬆ', "st"),
];

/// Decodes unambiguous HTML references, straightens quotes, splits Latin ligatures, normalizes full-width and
/// half-width forms, drops terminal escapes and control characters, and composes (NFC), until nothing
/// changes.
pub(super) fn fix_text(text: &str, entities: &Entities) -> String {
    // A `<` shows that the text is itself HTML, where `&lt;` is meant literally: nothing is decoded from
    // there on.
    let mut entities = Some(entities);
    let fix = |line: &str| {
        entities = entities.filter(|_| !line.contains('<'));
        fix_line(line, entities)
    };
    text.split_inclusive('\n').map(fix).collect()
}

fn fix_line(line: &str, entities: Option<&Entities>) -> String {
    let mut text = line.to_owned();
    loop {
        let fixed = fix_once(&text, entities);
        if fixed == text {
            return fixed;
        }
        text = fixed;
    }
}

fn fix_once(text: &str, entities: Option<&Entities>) -> String {
    let text = entities.map_or(text.into(), |entities| entities.unescape_strict(text));
    let mut plain = String::with_capacity(text.len());
    text.chars().for_each(|character| push_plain(character, &mut plain));
    let kept: String =
        TERMINAL_ESCAPE.replace_all(&plain, "").chars().filter(|&character| !is_control(character)).collect();
    if is_nfc(&kept) { kept } else { kept.nfc().collect() }
}

/// Appends the plain form of a character.
fn push_plain(character: char, text: &mut String) {
    match without_c1(character) {
        ascii @ '\0'..='\x7F' => text.push(ascii),
        '\u{2BC}' | '\u{2018}'..='\u{201B}' => text.push('\''),
        '\u{201C}'..='\u{201F}' => text.push('"'),
        '\u{3000}' => text.push(' '),
        wide @ '\u{FF01}'..='\u{FFEF}' => text.extend([wide].into_iter().nfkc()),
        other => match LIGATURES.iter().find(|(ligature, _)| *ligature == other) {
            Some((_, letters)) => text.push_str(letters),
            None => text.push(other),
        },
    }
}

/// The byte order mark, and control characters other than white space and those that affect shaping.
fn is_control(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x08' | '\x0B' | '\x0E'..='\x1F' | '\x7F' | '\u{206A}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFC}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs generated with `fix_text` of ftfy 6.3.1.
    #[test]
    fn fixes_match_ftfy() {
        let entities = Entities::new().unwrap();
        for (text, expected) in [
            ("Broken text&hellip; it&#x2019;s ﬂubberiﬁc!", "Broken text… it's flubberific!"),
            ("ＬＯＵＤ　ＮＯＩＳＥＳ Ｕﾀｰﾝ", "LOUD NOISES Uターン"),
            ("&amp;lt;", "<"),
            ("&amp;\n<b>&amp;\n&amp;", "&\n<b>&amp;\n&amp;"),
            ("\u{1B}[36;44mblue\u{1B}[0m \u{7}\u{FEFF}bell", "blue bell"),
            ("\u{91}quoted\u{92} e\u{301}", "'quoted' é"),
            ("ŉ ĳ ﬅ ½ ²", "'n ij ſt ½ ²"),
        ] {
            assert_eq!(fix_text(text, &entities), expected, "{text}");
        }
    }
}
