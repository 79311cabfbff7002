//! Names and captions in every script are drawn with the system's fonts, in reading order.

use eframe::egui::{Color32, Context, Event, FontId, Key, Modifiers, Shape, TextEdit, Ui};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use residua::app::fonts;

/// "A cat in the snow" in various scripts.
const CAPTIONS: [(&str, &str); 8] = [
    ("Arabic", "قطة في الثلج"),
    ("Hebrew", "חתול בשלג"),
    ("Devanagari", "बर्फ में बिल्ली"),
    ("Thai", "แมวในหิมะ"),
    ("Korean", "눈 속의 고양이"),
    ("Japanese", "雪の中のネコ。"),
    ("Chinese, simplified", "雪地里的猫，这里"),
    ("Chinese, traditional", "雪地裡的貓，這裡"),
];

/// Installs the system's fonts, and waits until they are listed.
fn install(ctx: &Context) {
    fonts::install(ctx).join().expect("the fonts are listed");
}

/// A window that shows `ui` with the system's fonts. In this harness, a missing glyph panics.
fn window<'a>(ui: impl FnMut(&mut Ui) + 'a) -> Harness<'a> {
    Harness::builder().with_size([480.0, 320.0]).with_context_setup(install).wgpu().build_ui(ui)
}

/// The characters of a painted text, from left to right.
fn painted(harness: &Harness<'_>, text: &str) -> String {
    fn find(shape: &Shape, text: &str) -> Option<Vec<(f32, char)>> {
        match shape {
            Shape::Vec(shapes) => shapes.iter().find_map(|shape| find(shape, text)),
            Shape::Text(shown) if shown.galley.text() == text => {
                let glyphs = shown.galley.rows.iter().flat_map(|row| &row.glyphs);
                Some(
                    glyphs
                        .filter(|glyph| glyph.advance_width > 0.0)
                        .map(|glyph| (glyph.pos.x, glyph.chr))
                        .collect(),
                )
            }
            _ => None,
        }
    }
    let shapes = &harness.output().shapes;
    let mut found = shapes.iter().find_map(|clipped| find(&clipped.shape, text)).expect("painted");
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, char)| char).collect()
}

#[test]
fn a_caption_in_every_script_is_drawn_with_the_systems_fonts() {
    let mut harness = window(|ui| {
        for (script, caption) in CAPTIONS {
            for font in [FontId::proportional(18.0), FontId::monospace(18.0)] {
                let has = ui.ctx().fonts_mut(|fonts| fonts.has_glyphs(&font, caption));
                assert!(
                    has,
                    "{script}: no font of the system has all of {caption:?}; tests/run names the packages"
                );
            }
            ui.label(caption);
        }
    });
    harness.run();
}

#[test]
fn right_to_left_text_is_laid_out_from_the_right() {
    let written = ["חתול בשלג (12).", "קובץ cat 12.png (חדש)", "Opened חתול שחור (1)"];
    // A mirrored bracket keeps its character: the closing bracket is on the left and looks like an opening
    // one.
    let seen = [".)12( גלשב לותח", "ץבוק cat 12.png (שדח)", "Opened )1( רוחש לותח"];
    let harness = window(move |ui| {
        for text in written {
            ui.label(text);
        }
    });
    for (written, seen) in written.into_iter().zip(seen) {
        assert_eq!(painted(&harness, written), seen, "{written}");
        assert!(harness.query_by_label(written).is_some(), "its accessible name keeps the logical order");
    }
}

#[test]
fn an_arabic_caption_can_be_edited() {
    let mut text = String::new();
    let mut harness = window(|ui| {
        ui.add(TextEdit::multiline(&mut text)).accessible_name("Caption").request_focus();
    });
    let keys =
        [Key::End, Key::Backspace, Key::Home, Key::Delete, Key::ArrowRight, Key::ArrowUp, Key::ArrowDown];
    harness.event(Event::Text("قطة في الثلج 12".into()));
    harness.run();
    for key in keys {
        harness.key_press(key);
        harness.run();
    }
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.run();
    drop(harness);
    assert!(text.contains("في الثلج"), "{text}");
}

/// Run by the next test in a process without fonts, because fontconfig reads its environment only once.
#[test]
#[ignore = "run by the next test"]
fn without_fonts() {
    let ctx = Context::default();
    install(&ctx);
    let output = ctx.run_ui(Default::default(), |ui| {
        for (script, caption) in CAPTIONS {
            let font = FontId::default();
            ui.ctx().fonts_mut(|fonts| {
                assert!(!fonts.has_glyphs(&font, caption), "{script}");
                let squares = fonts.layout_no_wrap(caption.into(), font, Color32::WHITE);
                assert!(squares.size().x > 20.0, "{script}");
            });
            ui.label(caption);
        }
    });
    assert!(!output.shapes.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn missing_fonts_are_drawn_as_squares() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("fonts.conf");
    std::fs::write(&none, "<?xml version=\"1.0\"?><fontconfig></fontconfig>").unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "without_fonts", "--ignored"])
        .env("FONTCONFIG_FILE", none)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
