//! The window's fonts in a browser: files that the page has fetched beside the program, those that the desktop has built in.

use eframe::egui::{Context, FontData, FontDefinitions, FontFamily, FontTweak};

use std::path::Path;
use std::sync::Arc;

use crate::files::read_limited;

/// Largest file of a font, in bytes.
const LARGEST: u64 = 1 << 20;

/// Name, file below `assets`, and size against the others.
const FONTS: [(&str, &str, f32); 3] = [
    ("Hack", "assets/fonts/Hack-Regular.ttf", 1.0),
    ("Ubuntu-Light", "assets/fonts/Ubuntu-Light.ttf", 1.0),
    ("egui-icons", "assets/fonts/egui-icons.ttf", 0.9),
];

/// Who writes with which.
const FAMILIES: [(FontFamily, &[&str]); 2] = [
    (FontFamily::Proportional, &["Ubuntu-Light", "egui-icons"]),
    (FontFamily::Monospace, &["Hack", "Ubuntu-Light", "egui-icons"]),
];

/// Gives `ctx` the fonts that are there.
pub fn install(ctx: &Context) {
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
