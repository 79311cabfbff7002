//! How a picture is varied from epoch to epoch.

use crate::error::Result;
use crate::image_io::Picture;
use crate::image_io::framing::{Framing, Square};
use crate::random::{below, pcg4d};

/// What is varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// The square that is cut from a picture lies anywhere along its longer side.
    pub crop: bool,
    /// Half of the pictures are mirrored.
    pub flip: bool,
    /// Pictures are moved by up to so many pixels each way; what comes in repeats the border.
    pub shift: usize,
}

/// What is done to one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// Where the square lies, in `0..=u16::MAX` along the longer side.
    along: Option<u16>,
    flipped: bool,
    moved: [isize; 2],
}

impl Augmentation {
    /// What the published key `dataset.transforms.type` stands for.
    pub fn named(kind: Option<&str>) -> Self {
        match kind {
            None | Some("none") => Self::default(),
            Some(kind) if kind.starts_with("emoji") => Self { crop: false, flip: true, shift: 3 },
            Some(_) => Self { crop: true, flip: true, shift: 0 },
        }
    }

    /// What `seed` says of picture `index` in `epoch`.
    pub fn of(self, seed: u32, epoch: u32, index: u32) -> Variation {
        let [words, more] = [0, 1].map(|part| pcg4d([seed, epoch, index, part]));
        let moved = |word: u32| below(word, 2 * self.shift + 1) as isize - self.shift as isize;
        Variation {
            along: self.crop.then_some((words[0] >> 16) as u16),
            flipped: self.flip && words[1] >> 31 == 1,
            moved: [moved(words[2]), moved(more[0])],
        }
    }
}

impl Variation {
    /// What becomes of `picture`: a square of `resolution`.
    ///
    /// # Errors
    /// Those of [`Picture::fit`].
    pub fn frame(self, picture: &Picture, resolution: usize) -> Result<Picture> {
        let (width, height) = (picture.width(), picture.height());
        let framing = match self.along {
            Some(along) if width != height => {
                let side = width.min(height);
                let place = |size: usize| (size - side) * usize::from(along) / usize::from(u16::MAX);
                Framing::Square(Square { left: place(width), top: place(height), side })
            }
            _ => Framing::Middle,
        };
        framing.apply(picture, resolution)
    }

    /// Whether all variations frame a picture of this size alike.
    pub fn frames_alike(self, width: usize, height: usize) -> bool {
        self.along.is_none() || width == height
    }

    /// Writes a framed picture `[3, S, S]`, values as bytes, varied and in [-1, 1], to `to`.
    pub fn write(self, framed: &[u8], side: usize, to: &mut [f32]) {
        let [down, right] = self.moved;
        let from = |place: usize, moved: isize| (place as isize - moved).clamp(0, side as isize - 1) as usize;
        for (line, to) in to.chunks_exact_mut(side).enumerate() {
            let (channel, row) = (line / side, line % side);
            let source = &framed[(channel * side + from(row, down)) * side..][..side];
            for (column, value) in to.iter_mut().enumerate() {
                let column = if self.flipped { side - 1 - column } else { column };
                *value = f32::from(source[from(column, right)]) / 127.5 - 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Augmentation = Augmentation { crop: true, flip: true, shift: 2 };

    #[test]
    fn variations_are_functions_of_their_place_and_differ() {
        let all: Vec<Variation> = (0..1000).map(|index| ALL.of(1, 2, index)).collect();
        assert_eq!(all[17], ALL.of(1, 2, 17));
        assert_ne!(all[17], ALL.of(1, 3, 17));
        let flipped = all.iter().filter(|variation| variation.flipped).count();
        assert!((400..600).contains(&flipped), "{flipped}");
        for axis in 0..2 {
            let moved: std::collections::BTreeSet<isize> = all.iter().map(|v| v.moved[axis]).collect();
            assert!(moved.into_iter().eq(-2..=2));
        }
    }

    #[test]
    fn pixels_go_where_the_variation_says() {
        let side = 4;
        let framed: Vec<u8> = (0..3 * 16).map(|i| i * 5).collect();
        let write = |variation: Variation| {
            let mut to = vec![0.0; 3 * 16];
            variation.write(&framed, side, &mut to);
            to.iter().map(|x| ((x + 1.0) * 127.5).round() as u8 / 5).collect::<Vec<_>>()
        };
        let plain = Variation { along: None, flipped: false, moved: [0, 0] };
        assert!(write(plain).into_iter().eq(0..48));
        assert_eq!(write(Variation { flipped: true, ..plain })[..4], [3, 2, 1, 0]);
        let moved = write(Variation { moved: [1, -1], ..plain });
        assert_eq!(moved[..8], [1, 2, 3, 3, 1, 2, 3, 3], "the first row repeats, the last column too");
        assert_eq!(moved[16..20], [17, 18, 19, 19]);
    }

    #[test]
    fn squares_lie_anywhere_along_the_longer_side() {
        let values = (0..3 * 4 * 12).map(|i| (i % 12) as f32 / 12.0).collect();
        let picture = Picture::new(12, 4, values).unwrap();
        let first = |along| {
            let variation = Variation { along, flipped: false, moved: [0, 0] };
            variation.frame(&picture, 4).unwrap().data()[0]
        };
        assert!(first(Some(0)) < first(None) && first(None) < first(Some(u16::MAX)));
    }
}
