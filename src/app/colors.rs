//! Colours for data, readable by colour-blind people too.

use eframe::egui::Color32;

use residua_io::image_io::present::viridis;

/// The viridis colour of `value`, clamped to `[0, 1]`.
pub fn map(value: f32) -> Color32 {
    let [r, g, b] = viridis(value);
    Color32::from_rgb(r, g, b)
}

/// A colour for `code`: consecutive codes get distant hues, and different lightness.
pub fn of_code(code: u32) -> Color32 {
    // Multiples of the golden ratio spread evenly around the hue circle, however many there are.
    let hue = (code as f32 * 0.618_034).fract();
    let value = 0.55 + 0.4 * (code as f32 * 0.381_966).fract();
    eframe::egui::epaint::Hsva::new(hue, 0.55, value, 1.0).into()
}

/// Black or white, whichever is readable on `background`.
pub fn on(background: Color32) -> Color32 {
    let [r, g, b, _] = background.to_array().map(f32::from);
    if 0.299 * r + 0.587 * g + 0.114 * b > 140.0 { Color32::BLACK } else { Color32::WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_gets_steadily_lighter() {
        let light = |value: f32| {
            let [r, g, b, _] = map(value).to_array().map(f32::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        assert!((0..100).all(|i| light(i as f32 / 100.0) < light((i + 1) as f32 / 100.0)));
        assert_eq!((map(-1.0), map(2.0), map(f32::NAN)), (map(0.0), map(1.0), map(0.0)));
    }
}
