//! The display of an image and its original in 8-bit colours: the CPU twin of `shaders/present.wgsl`.

/// Viridis at nine even steps (Smith and van der Walt, 2015), from dark blue for low values to yellow for
/// high ones. Its lightness increases evenly, so it works without colour too.
pub const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// What to show of two images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// The original.
    Original,
    /// The image.
    Picture,
    /// The difference between the two, in colours of [`viridis`]: the mean over the channels. `brightest`, as
    /// a fraction of the full range, and everything above it get the last colour.
    Errors {
        /// In (0, 1].
        brightest: f32,
    },
    /// The original on the left of a position, the image on the right.
    Wipe {
        /// From 0, the left edge, to 1.
        place: f32,
    },
}

/// The colours of a target with `target` rows and columns that shows two images `[3, height, width]` of
/// `size` `[height, width]` in `[-1, 1]`: red, green, blue and full opacity for each pixel, row-major. Each
/// target pixel shows the source pixel under its centre.
///
/// # Panics
/// If an image does not have that size.
pub fn present(
    picture: &[f32],
    original: &[f32],
    size: [usize; 2],
    target: [usize; 2],
    shown: Shown,
) -> Vec<u8> {
    let under = |place: usize, axis: usize| (2 * place + 1) * size[axis] / (2 * target[axis]);
    let mut colours = Vec::with_capacity(4 * target[0] * target[1]);
    for y in 0..target[0] {
        for x in 0..target[1] {
            let pixel = under(y, 0) * size[1] + under(x, 1);
            let of =
                |values: &[f32]| [0, 1, 2].map(|channel| unit(values[channel * size[0] * size[1] + pixel]));
            let colour = match shown {
                Shown::Original => of(original).map(level),
                Shown::Picture => of(picture).map(level),
                Shown::Errors { brightest } => viridis(error(of(picture), of(original)) / brightest),
                Shown::Wipe { place } if x as f32 + 0.5 < place * target[1] as f32 => of(original).map(level),
                Shown::Wipe { .. } => of(picture).map(level),
            };
            colours.extend(colour);
            colours.push(u8::MAX);
        }
    }
    colours
}

/// The colour of `value`, clamped to `[0, 1]`.
pub fn viridis(value: f32) -> [u8; 3] {
    let place = value.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let place = if place.is_finite() { place } else { 0.0 };
    let below = (place as usize).min(VIRIDIS.len() - 2);
    let part = place - below as f32;
    [0, 1, 2].map(|channel| {
        let [from, to] = [VIRIDIS[below][channel], VIRIDIS[below + 1][channel]].map(f32::from);
        (from + (to - from) * part).round() as u8
    })
}

/// Mean absolute difference over the channels.
fn error(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / 3.0
}

/// `[-1, 1]` to `[0, 1]`, clamped; NaN becomes 0.
fn unit(value: f32) -> f32 {
    (value * 0.5 + 0.5).clamp(0.0, 1.0).max(0.0)
}

/// `[0, 1]` to a level from 0 to 255.
fn level(value: f32) -> u8 {
    (value * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pixels in a row: the second of `picture` differs from `original` by 51, 102 and 0 levels.
    const ORIGINAL: [f32; 6] = [-1.0, 0.2, 1.0, 0.2, 7.0, f32::NAN];
    const PICTURE: [f32; 6] = [-1.0, 0.6, 1.0, -0.6, 7.0, -9.0];

    fn shown(target: [usize; 2], shown: Shown) -> Vec<[u8; 4]> {
        let colours = present(&PICTURE, &ORIGINAL, [1, 2], target, shown);
        colours.as_chunks().0.to_vec()
    }

    #[test]
    fn pictures_are_shown_pixel_by_pixel() {
        let (left, right) = ([0, 255, 255, 255], [153, 153, 0, 255]);
        assert_eq!(shown([1, 2], Shown::Original), [left, right]);
        assert_eq!(
            shown([2, 3], Shown::Original),
            [left, right, right, left, right, right],
            "the centre counts"
        );
        assert_eq!(shown([1, 2], Shown::Picture), [left, [204, 51, 0, 255]]);
        let wiped = |place| shown([1, 2], Shown::Wipe { place })[1];
        assert_eq!([wiped(0.0), wiped(0.74), wiped(0.76)], [[204, 51, 0, 255], [204, 51, 0, 255], right]);
    }

    #[test]
    fn errors_have_the_colours_of_the_map() {
        let at = |brightest| shown([1, 2], Shown::Errors { brightest });
        let [first, .., last] = VIRIDIS.map(|[r, g, b]| [r, g, b, 255]);
        // The mean of 51, 102 and 0 levels is a fifth of 255.
        assert_eq!(at(0.2), [first, last]);
        assert_eq!(at(0.1), [first, last], "no brighter");
        let [r, g, b] = VIRIDIS[4];
        assert_eq!(at(0.4), [first, [r, g, b, 255]]);
    }

    #[test]
    fn the_map_clamps_values() {
        assert_eq!([viridis(-1.0), viridis(2.0), viridis(f32::NAN)], [VIRIDIS[0], VIRIDIS[8], VIRIDIS[0]]);
    }
}
