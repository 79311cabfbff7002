//! The look of the window: sizes of text, spacing and colours, in the light theme and in the dark one.

use eframe::egui::{Color32, Context, Style, TextStyle, Theme, Visuals, vec2};

/// Sizes of text that differ from egui's 13 points: what is around pictures, and the titles of a panel's parts.
const SIZES: [(TextStyle, f32); 2] = [(TextStyle::Small, 11.0), (TextStyle::Heading, 16.0)];

/// The colours of a theme. All text has a contrast of at least 4.5 to what is behind it (WCAG 2.2, level AA).
struct Palette {
    /// Behind everything.
    panel: Color32,
    /// Of text.
    text: Color32,
    /// Of text that explains other text.
    weak: Color32,
    /// Of a warning.
    warning: Color32,
    /// Of an error.
    error: Color32,
    /// Behind what is chosen, and behind a panel's main action.
    accent: Color32,
    /// Of text on the accent, and of the frame around a chosen picture.
    on_accent: Color32,
}

const LIGHT: Palette = Palette {
    panel: Color32::from_gray(244),
    text: Color32::from_gray(60),
    weak: Color32::from_gray(98),
    warning: Color32::from_rgb(160, 66, 0),
    error: Color32::from_rgb(186, 20, 20),
    accent: Color32::from_rgb(158, 212, 247),
    on_accent: Color32::from_rgb(0, 68, 108),
};

const DARK: Palette = Palette {
    panel: Color32::from_gray(27),
    text: Color32::from_gray(190),
    weak: Color32::from_gray(150),
    warning: Color32::from_rgb(255, 170, 80),
    error: Color32::from_rgb(255, 115, 105),
    accent: Color32::from_rgb(0, 84, 118),
    on_accent: Color32::from_rgb(204, 229, 255),
};

/// Gives a window its look; which of the two themes it uses is up to its settings.
pub fn install(ctx: &Context) {
    for (theme, palette) in [(Theme::Light, LIGHT), (Theme::Dark, DARK)] {
        ctx.style_mut_of(theme, |style| {
            measure(style);
            palette.paint(&mut style.visuals);
        });
    }
}

/// Sets sizes. Rows of buttons, which are 20 points high, are 24 points apart.
fn measure(style: &mut Style) {
    style.spacing.item_spacing = vec2(8.0, 4.0);
    // Room for a dozen choices, so that short lists need no scrolling.
    style.spacing.combo_height = 300.0;
    for (name, size) in SIZES {
        if let Some(font) = style.text_styles.get_mut(&name) {
            font.size = size;
        }
    }
}

impl Palette {
    fn paint(&self, visuals: &mut Visuals) {
        visuals.panel_fill = self.panel;
        visuals.window_fill = self.panel;
        visuals.weak_text_color = Some(self.weak);
        visuals.warn_fg_color = self.warning;
        visuals.error_fg_color = self.error;
        visuals.selection.bg_fill = self.accent;
        visuals.selection.stroke.color = self.on_accent;
        let still = &mut visuals.widgets.noninteractive;
        still.bg_fill = self.panel;
        still.weak_bg_fill = self.panel;
        still.fg_stroke.color = self.text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast ratio of WCAG 2.2, from 1 to 21.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let luminance = |color: Color32| {
            let [r, g, b, _] = color.to_array().map(|level| {
                let level = f32::from(level) / 255.0;
                if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let [a, b] = [a, b].map(|color| luminance(color) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn all_text_is_readable_in_both_themes() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-3);
        let ctx = Context::default();
        install(&ctx);
        for theme in [Theme::Light, Theme::Dark] {
            let visuals = ctx.style_of(theme).visuals.clone();
            let (panel, button) = (visuals.panel_fill, visuals.widgets.inactive);
            for (what, front, back) in [
                ("text", visuals.text_color(), panel),
                ("weak text", visuals.weak_text_color(), panel),
                ("strong text", visuals.strong_text_color(), panel),
                ("a warning", visuals.warn_fg_color, panel),
                ("an error", visuals.error_fg_color, panel),
                ("a frame", visuals.selection.stroke.color, panel),
                ("a choice", visuals.selection.stroke.color, visuals.selection.bg_fill),
                ("a button", button.text_color(), button.weak_bg_fill),
                ("a field's hint", visuals.weak_text_color(), visuals.text_edit_bg_color()),
            ] {
                let found = contrast(front, back);
                assert!(found >= 4.5, "{what}, {theme:?}: {found}");
            }
        }
    }
}
