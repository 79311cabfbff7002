//! The system's fonts, listed by a thread of their own, and searched when a character first appears that the built-in
//! ones lack. The files are mapped into memory, not copied. A character that no font has is shown as a square.

use std::sync::{Mutex, PoisonError};

use eframe::egui::{FallbackRequest, FontData, FontInsert, FontProvider};
use fontique::{
    Collection, FallbackKey, GenericFamily, Language, Query, QueryFamily, QueryFont, QueryStatus, Script,
    SourceCache,
};
use skrifa::{FontRef, GlyphId, MetadataProvider};
use unicode_script::UnicodeScript;

/// Languages to try after the user's own, for scripts that have a font per language. `zh-SG` means simplified
/// Chinese: for plain `zh-CN`, fontique may return a Japanese font.
const LANGUAGES: [&str; 4] = ["zh-SG", "zh-TW", "ja", "ko"];

/// Generic families, searched last.
const KINDS: [GenericFamily; 5] = [
    GenericFamily::SansSerif,
    GenericFamily::SystemUi,
    GenericFamily::Math,
    GenericFamily::Serif,
    GenericFamily::Monospace,
];

/// The system's fonts.
#[derive(Default)]
pub struct SystemFonts(Mutex<Listing>);

/// The list of fonts.
#[derive(Default)]
struct Listing {
    /// None until they are listed.
    fonts: Option<(Collection, SourceCache)>,
    /// Whether a character was asked for before.
    was_early: bool,
}

impl SystemFonts {
    /// Lists the fonts, which may take long. Returns true if a character was asked for in the meantime; it must be
    /// asked for again.
    pub fn list(&self) -> bool {
        let fonts = Default::default();
        let mut listing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listing.fonts = Some(fonts);
        listing.was_early
    }
}

impl FontProvider for SystemFonts {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let char = request.cluster.chars().next()?;
        let mut listing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Listing { fonts, was_early } = &mut *listing;
        let Some((collection, cache)) = fonts else {
            *was_early = true;
            return None;
        };
        let font = find(&mut collection.query(cache), char)?;
        let family = collection.family_name(font.family.0).unwrap_or("unnamed");
        let name = format!("system: {family}, {}, {}", font.family.1, font.index);
        let (bytes, _) = font.blob.into_raw_parts();
        Some(FontInsert::new(&name, FontData::from_blob(bytes, font.index), Vec::new()))
    }
}

/// The system's preferred font for a character, or the next best one that has it.
fn find(query: &mut Query<'_>, char: char) -> Option<QueryFont> {
    let script = Script::parse(char.script().short_name()).ok()?;
    let own = sys_locale::get_locale().filter(|own| !["zh", "zh-CN", "zh-Hans"].contains(&own.as_str()));
    for language in own.as_deref().into_iter().chain(LANGUAGES) {
        query.set_fallbacks(FallbackKey::new(script, Language::parse(language).ok().as_ref()));
        if let Some(font) = first_with(query, char) {
            return Some(font);
        }
    }
    query.set_families(KINDS.map(QueryFamily::Generic));
    first_with(query, char)
}

fn first_with(query: &mut Query<'_>, char: char) -> Option<QueryFont> {
    let mut found = None;
    query.matches_with(|font| {
        if !draws(font, char) {
            return QueryStatus::Continue;
        }
        found = Some(font.clone());
        QueryStatus::Stop
    });
    found
}

/// True if a font has an outline for a character. Bitmap glyphs, such as colour emoji, would be invisible.
fn draws(font: &QueryFont, char: char) -> bool {
    let glyph = font.charmap().and_then(|chars| chars.map(char)).map(GlyphId::new);
    let glyph = glyph.filter(|&glyph| glyph != GlyphId::NOTDEF);
    let font = FontRef::from_index(font.blob.as_ref(), font.index);
    glyph.zip(font.ok()).is_some_and(|(glyph, font)| font.outline_glyphs().get(glyph).is_some())
}
