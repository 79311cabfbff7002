//! The window's fonts in a browser: files that the page fetches along with the program. The fonts built into the
//! desktop version are there from the start. The browser draws characters that they lack one by one, which is wrong
//! only for right-to-left scripts with joining letters: their fonts are fetched when such a letter first appears.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui::{
    Context, FallbackRequest, FontData, FontDefinitions, FontFamily, FontInsert, FontProvider, FontTweak,
};

use super::right_to_left::RightToLeft;
use residua_core::files::read_limited;
use residua_core::host;

/// Size limit for font files, in bytes.
const LARGEST: u64 = 1 << 20;

const ARABIC: &str = "assets/scripts/NotoSansArabic_400Regular.ttf";
const HEBREW: &str = "assets/scripts/NotoSansHebrew_400Regular.ttf";

/// Name, file, and scale relative to the others.
const FONTS: [(&str, &str, f32); 5] = [
    ("Hack", "assets/fonts/Hack-Regular.ttf", 1.0),
    ("Ubuntu-Light", "assets/fonts/Ubuntu-Light.ttf", 1.0),
    ("egui-icons", "assets/fonts/egui-icons.ttf", 0.9),
    ("Arabic", ARABIC, 1.0),
    ("Hebrew", HEBREW, 1.0),
];

/// The fonts of each family.
const FAMILIES: [(FontFamily, &[&str]); 2] = [
    (FontFamily::Proportional, &["Ubuntu-Light", "egui-icons", "Arabic", "Hebrew"]),
    (FontFamily::Monospace, &["Hack", "Ubuntu-Light", "egui-icons", "Arabic", "Hebrew"]),
];

/// Characters whose font is fetched on first use.
const FETCHED: [(RangeInclusive<char>, &str); 6] = [
    ('\u{590}'..='\u{5ff}', HEBREW),
    ('\u{fb1d}'..='\u{fb4f}', HEBREW),
    ('\u{600}'..='\u{6ff}', ARABIC),
    ('\u{750}'..='\u{77f}', ARABIC),
    ('\u{8a0}'..='\u{8ff}', ARABIC),
    ('\u{fb50}'..='\u{fdff}', ARABIC),
];

/// Lets `ctx` show every script.
pub fn install(ctx: &Context) {
    ctx.add_font_provider(Arc::new(Fetched::default()));
    ctx.add_plugin(RightToLeft);
    refresh(ctx);
}

/// Gives `ctx` the fonts whose files have arrived.
pub fn refresh(ctx: &Context) {
    let mut fonts = FontDefinitions::empty();
    for (name, path, scale) in FONTS {
        if let Ok(bytes) = read_limited(Path::new(path), LARGEST) {
            let data = FontData::from_owned(bytes).tweak(FontTweak { scale, ..FontTweak::default() });
            fonts.font_data.insert(name.into(), Arc::new(data));
        }
    }
    for (family, names) in FAMILIES {
        let known = names.iter().filter(|&&name| fonts.font_data.contains_key(name));
        fonts.families.insert(family, known.map(|&name| name.into()).collect());
    }
    ctx.set_fonts(fonts);
}

/// Asks the page once for a character's font; the browser draws the character until [`refresh`] finds the file.
#[derive(Default)]
struct Fetched(Mutex<BTreeSet<&'static str>>);

impl FontProvider for Fetched {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let char = request.cluster.chars().next()?;
        let (_, path) = FETCHED.iter().find(|(chars, _)| chars.contains(&char))?;
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path) {
            host::font(path);
        }
        None
    }
}
