//! Prepares pictures as the network's input.

use rayon::prelude::*;

use residua_io::image_io::Picture;

/// Rows and columns of the input.
pub const SIDE: usize = 299;

/// Resizes `picture`, of any aspect ratio, to 299x299: clamped to `[-1, 1]`, then as PyTorch's `interpolate`
/// with mode `bilinear`, `align_corners=False` and no antialiasing, as in published measurements.
pub fn input(picture: &Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let (columns, rows) = (taps(width), taps(height));
    let mut data = vec![0.0; 3 * SIDE * SIDE];
    data.par_chunks_exact_mut(SIDE).enumerate().for_each(|(line, to)| {
        let (channel, tap) = (line / SIDE, &rows[line % SIDE]);
        let row = |y: usize| &picture.data()[(channel * height + y) * width..][..width];
        let (upper, lower) = (row(tap.near), row(tap.far));
        for (value, column) in to.iter_mut().zip(&columns) {
            let along =
                |row: &[f32]| column.mix(row[column.near].clamp(-1.0, 1.0), row[column.far].clamp(-1.0, 1.0));
            *value = tap.mix(along(upper), along(lower));
        }
    });
    Picture::new(SIDE, SIDE, data).expect("as many values as it has pixels")
}

/// The sources of one row or column.
struct Tap {
    near: usize,
    far: usize,
    /// Weight of the far one.
    part: f32,
}

impl Tap {
    fn mix(&self, near: f32, far: f32) -> f32 {
        near * (1.0 - self.part) + far * self.part
    }
}

/// The sources of each of the input's rows or columns, out of `size`.
fn taps(size: usize) -> Vec<Tap> {
    let scale = size as f32 / SIDE as f32;
    let tap = |at: usize| {
        let place = ((at as f32 + 0.5) * scale - 0.5).max(0.0);
        let near = (place as usize).min(size - 1);
        Tap { near, far: (near + 1).min(size - 1), part: place - near as f32 }
    };
    (0..SIDE).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pixels become a ramp between their centers; values out of range are clamped first.
    #[test]
    fn pixels_are_mixed_by_distance() {
        let data = [[-0.5, 3.0], [0.0, 0.0], [1.0, 0.0]].concat();
        let seen = input(&Picture::new(2, 1, data).unwrap());
        let at =
            |channel: usize, row: usize, column: usize| seen.data()[(channel * SIDE + row) * SIDE + column];
        assert_eq!((at(0, 0, 0), at(0, 298, 74)), (-0.5, -0.5));
        assert!((at(0, 7, 149) - 0.25).abs() < 1e-6, "{}", at(0, 7, 149));
        assert_eq!((at(0, 0, 298), at(2, 0, 0), at(2, 1, 298)), (1.0, 1.0, 0.0));
    }
}
