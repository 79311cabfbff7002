//! Contact sheets: many images in one, on white.

use super::Picture;
use residua_core::error::{Error, Result};

/// White, in the range of [`Picture`].
const BACKGROUND: f32 = 1.0;

/// Arranges images in rows of `columns`, `gap` pixels apart, without a margin. Each slot has the size of the
/// largest image; smaller ones are centred.
///
/// # Errors
/// There are no images or no columns, or the sheet has more than [`super::MAX_PIXELS`].
pub fn grid(pictures: &[Picture], columns: usize, gap: usize) -> Result<Picture> {
    let columns = columns.min(pictures.len());
    if columns == 0 {
        return Err(Error::usage("a contact sheet needs at least one picture and one column"));
    }
    let place_width = pictures.iter().map(Picture::width).max().unwrap_or(0);
    let place_height = pictures.iter().map(Picture::height).max().unwrap_or(0);
    let width = side(columns, place_width, gap);
    let height = side(pictures.len().div_ceil(columns), place_height, gap);
    super::check_size(width as u64, height as u64)?;

    let mut data = vec![BACKGROUND; 3 * width * height];
    for (index, picture) in pictures.iter().enumerate() {
        let left = index % columns * (place_width + gap) + (place_width - picture.width()) / 2;
        let top = index / columns * (place_height + gap) + (place_height - picture.height()) / 2;
        for (line, source) in picture.data().chunks_exact(picture.width()).enumerate() {
            let (channel, row) = (line / picture.height(), line % picture.height());
            let start = (channel * height + top + row) * width + left;
            data[start..start + source.len()].copy_from_slice(source);
        }
    }
    Picture::new(width, height, data)
}

/// One row of images, `gap` pixels apart.
///
/// # Errors
/// Those of [`grid`].
pub fn strip(pictures: &[Picture], gap: usize) -> Result<Picture> {
    grid(pictures, pictures.len(), gap)
}

/// The length of `count` slots and the gaps between them, saturating on overflow, which is then refused as
/// too large.
fn side(count: usize, place: usize, gap: usize) -> usize {
    count.saturating_mul(place).saturating_add((count - 1).saturating_mul(gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, value: f32) -> Picture {
        let plane = width * height;
        Picture::new(width, height, (0..3 * plane).map(|at| value + (at / plane) as f32 / 100.0).collect())
            .unwrap()
    }

    /// The sheet's first channel as rows of digits: tenths, `.` for the background.
    fn drawn(sheet: &Picture) -> Vec<String> {
        let digit = |value: &f32| if *value == 1.0 { ".".to_owned() } else { format!("{}", value * 10.0) };
        let rows = sheet.data().chunks(sheet.width()).take(sheet.height());
        rows.map(|row| row.iter().map(digit).collect()).collect()
    }

    #[test]
    fn pictures_are_arranged_in_rows_on_white() {
        let pictures = [plain(2, 1, 0.1), plain(2, 3, 0.2), plain(1, 1, 0.3)];
        let sheet = grid(&pictures, 2, 1).unwrap();
        assert_eq!(drawn(&sheet), ["...22", "11.22", "...22", ".....", ".....", "3....", "....."]);
        let blue = &sheet.data()[2 * 5 * 7..];
        assert_eq!(blue[5], 0.1 + 0.02);
    }

    #[test]
    fn a_strip_is_one_row() {
        let sheet = strip(&[plain(1, 1, 0.1), plain(1, 1, 0.2), plain(1, 1, 0.3)], 0).unwrap();
        assert_eq!(drawn(&sheet), ["123"]);
    }

    #[test]
    fn impossible_sheets_are_refused() {
        let message =
            |pictures: &[Picture], columns, gap| grid(pictures, columns, gap).unwrap_err().to_string();
        let pictures = [plain(1, 1, 0.1), plain(1, 1, 0.2)];
        assert_eq!(message(&[], 3, 0), "a contact sheet needs at least one picture and one column");
        assert_eq!(message(&pictures, 0, 0), "a contact sheet needs at least one picture and one column");
        assert!(message(&pictures, 2, usize::MAX).contains("megapixels allowed"));
        assert!(message(&pictures, 1, 256_000_000).contains("megapixels allowed"));
        assert_eq!(grid(&pictures, usize::MAX, 0).unwrap().width(), 2);
    }
}
