//! The system's fonts. They are asked when a character is first shown that the built-in ones lack, and are mapped into
//! memory, not copied. A character that none of them has stays a square.

use std::sync::Mutex;

use eframe::egui::{FallbackRequest, FontData, FontInsert, FontProvider};
use fontique::{
    Collection, FallbackKey, GenericFamily, Language, Query, QueryFamily, QueryFont, QueryStatus, Script,
    SourceCache,
};
use skrifa::{FontRef, GlyphId, MetadataProvider};
use unicode_script::UnicodeScript;

/// Languages to ask in after the person's own, where a script has a font for each: Chinese, in Singapore's and Taiwan's
/// hand, Japanese and Korean. Of the font for plain `zh-CN` fontique takes no care.
const LANGUAGES: [&str; 4] = ["zh-SG", "zh-TW", "ja", "ko"];

/// Kinds of fonts to look through at last.
const KINDS: [GenericFamily; 5] = [
    GenericFamily::SansSerif,
    GenericFamily::SystemUi,
    GenericFamily::Math,
    GenericFamily::Serif,
    GenericFamily::Monospace,
];

/// The system's fonts, listed when they are first asked.
#[derive(Default)]
pub struct SystemFonts(Mutex<Option<(Collection, SourceCache)>>);

impl FontProvider for SystemFonts {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let char = request.cluster.chars().next()?;
        let mut fonts = self.0.lock().ok()?;
        let (collection, cache) = fonts.get_or_insert_default();
        let font = find(&mut collection.query(cache), char)?;
        let family = collection.family_name(font.family.0).unwrap_or("unnamed");
        let name = format!("{family}, {} of the system's, {}", font.family.1, font.index);
        let (bytes, _) = font.blob.into_raw_parts();
        Some(FontInsert::new(&name, FontData::from_blob(bytes, font.index), Vec::new()))
    }
}

/// The font that the system would take for a character, or the next best that has it.
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

/// Whether a font has an outline for a character; of pictures, such as those of colored emoji, nothing would be seen.
fn draws(font: &QueryFont, char: char) -> bool {
    let glyph = font.charmap().and_then(|chars| chars.map(char)).map(GlyphId::new);
    let glyph = glyph.filter(|&glyph| glyph != GlyphId::NOTDEF);
    let font = FontRef::from_index(font.blob.as_ref(), font.index);
    glyph.zip(font.ok()).is_some_and(|(glyph, font)| font.outline_glyphs().get(glyph).is_some())
}
