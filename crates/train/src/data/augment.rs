//! Data augmentation.

mod named;

use residua_core::error::Result;
use residua_core::random::{below, pcg4d};
use residua_core::text::counted;
use residua_io::image_io::Picture;
use residua_io::image_io::framing::{Framing, Square};

/// An augmentation policy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augmentation {
    /// How to crop.
    pub frame: Frame,
    /// Mirror pictures with probability 1/2.
    pub flip: bool,
    /// Shift pictures by up to this many pixels each way, repeating the border.
    pub shift: usize,
}

/// How to crop a picture to a square.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Frame {
    /// The largest square in the center.
    #[default]
    Middle,
    /// The whole picture, resized to a square.
    Squeezed,
    /// The largest square, at a random position along the longer side.
    Along,
    /// A random part of this size.
    Anywhere(Part),
    /// The same, of the whole picture resized to a square.
    AnywhereSqueezed(Part),
    /// The largest square, near the center, and a random crop of most of it.
    NearMiddle,
}

/// The size of a random part, as in torchvision's `RandomResizedCrop`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Smallest share of the area; the largest is 1.
    least: f64,
    /// Smallest and largest aspect ratio, width / height.
    proportions: [f64; 2],
}

/// The augmentation of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variation {
    frame: Frame,
    /// Key of the random numbers: seed, epoch and index of the picture.
    key: [u32; 3],
    flipped: bool,
    moved: [isize; 2],
}

/// Attempts at a part that fits.
const TRIES: u32 = 10;

/// The square near the center is resized to at most this multiple of the resolution before cropping.
const ENLARGED: f64 = 9.0 / 8.0;

/// What is done without `dataset.transforms`, and with most held-out pictures.
const PLAIN: Augmentation = Augmentation { frame: Frame::Middle, flip: false, shift: 0 };

impl Augmentation {
    /// What training does with each picture, in words.
    pub fn described(self) -> String {
        let all = [
            Some(self.frame.described()),
            self.flip.then(|| "mirrored half the time".into()),
            (self.shift > 0).then(|| format!("shifted by up to {}", counted(self.shift, "pixel"))),
        ];
        all.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// How held-out pictures are framed.
    pub fn held_out(self) -> Self {
        match self.frame {
            Frame::Squeezed | Frame::AnywhereSqueezed(_) | Frame::NearMiddle => {
                Self { frame: Frame::Squeezed, ..PLAIN }
            }
            Frame::Middle | Frame::Along | Frame::Anywhere(_) => PLAIN,
        }
    }

    /// The augmentation of picture `index` in `epoch`, determined by `seed`.
    pub fn of(self, seed: u32, epoch: u32, index: u32) -> Variation {
        let key = [seed, epoch, index];
        let [words, more] = [0, 1].map(|number| draw(key, number));
        let moved = |word: u32| below(word, 2 * self.shift + 1) as isize - self.shift as isize;
        Variation {
            frame: self.frame,
            key,
            flipped: self.flip && words[1] >> 31 == 1,
            moved: [moved(words[2]), moved(more[0])],
        }
    }
}

impl Frame {
    fn described(self) -> String {
        let part = |part: Part| format!("a random part of at least {:.0} % of the area", 100.0 * part.least);
        match self {
            Self::Middle => "the largest square in the center".into(),
            Self::Squeezed => "the whole, resized to a square".into(),
            Self::Along => "the largest square, anywhere along the longer side".into(),
            Self::Anywhere(size) => part(size),
            Self::AnywhereSqueezed(size) => format!("{}, after resizing to a square", part(size)),
            Self::NearMiddle => "the largest square, near the center, and a random crop of most of it".into(),
        }
    }
}

/// Four random words for a picture and a `number`.
fn draw([seed, epoch, index]: [u32; 3], number: u32) -> [u32; 4] {
    pcg4d([seed, epoch, index, number])
}

/// The first `number` for framing.
const FRAME: u32 = 2;

impl Variation {
    /// Frames `picture`: a square of side `resolution`.
    ///
    /// # Errors
    /// See [`Picture::fit`].
    pub fn frame(self, picture: &Picture, resolution: usize) -> Result<Picture> {
        match self.frame {
            Frame::Middle => picture.fit(resolution),
            Frame::Squeezed => Framing::Squeezed.apply(picture, resolution),
            Frame::Along => {
                let along = draw(self.key, 0)[0];
                picture.fit_along(resolution, |left_over| below(along, left_over as usize + 1) as u64)
            }
            Frame::Anywhere(part) => self.part(picture, part, resolution),
            Frame::AnywhereSqueezed(part) => {
                self.part(&Framing::Squeezed.apply(picture, resolution)?, part, resolution)
            }
            Frame::NearMiddle => self.near_middle(picture, resolution),
        }
    }

    /// True if all variations frame a picture of this size in the same way.
    pub fn frames_alike(self, width: usize, height: usize) -> bool {
        match self.frame {
            Frame::Middle | Frame::Squeezed => true,
            Frame::Along => width == height,
            Frame::Anywhere(_) | Frame::AnywhereSqueezed(_) | Frame::NearMiddle => false,
        }
    }

    fn part(self, picture: &Picture, part: Part, resolution: usize) -> Result<Picture> {
        let (width, height) = (picture.width(), picture.height());
        let place = |number: u32| part.within(width, height, draw(self.key, FRAME + number));
        let [left, top, width, height] =
            (0..TRIES).find_map(place).unwrap_or_else(|| part.in_the_middle(width, height));
        Framing::Squeezed.apply(&picture.crop(left, top, width, height)?, resolution)
    }

    fn near_middle(self, picture: &Picture, resolution: usize) -> Result<Picture> {
        let (width, height) = (picture.width(), picture.height());
        let side = width.min(height);
        let [across, down, enlarged, _] = draw(self.key, FRAME);
        // The middle quarter of the positions along the longer side.
        let place = |size: usize, word: u32| {
            let (first, end) = (3 * (size - side) / 8, 5 * (size - side) / 8);
            first + below(word, end.saturating_sub(first).max(1))
        };
        let square = Square { left: place(width, across), top: place(height, down), side };
        let most = side.min((ENLARGED * resolution as f64).round_ties_even() as usize).max(resolution);
        let larger = resolution + below(enlarged, most - resolution + 1);
        let [across, down, ..] = draw(self.key, FRAME + 1);
        let [left, top] = [across, down].map(|word| below(word, larger - resolution + 1));
        Framing::Square(square).apply(picture, larger)?.crop(left, top, resolution, resolution)
    }

    /// Writes the framed picture `framed` `[3, S, S]`, as bytes, to `to`, flipped and shifted, in `[-1, 1]`.
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

impl Part {
    /// Left, top, width and height of a part of `width x height` pixels, determined by `words`; `None` if it
    /// does not fit.
    fn within(self, width: usize, height: usize, words: [u32; 4]) -> Option<[usize; 4]> {
        let unit = |word: u32| f64::from(word) / f64::from(u32::MAX);
        let [narrowest, widest] = self.proportions.map(f64::ln);
        let area = (width * height) as f64 * (self.least + (1.0 - self.least) * unit(words[0]));
        let proportion = (narrowest + (widest - narrowest) * unit(words[1])).exp();
        let [across, down] =
            [area * proportion, area / proportion].map(|square| square.sqrt().round() as usize);
        let fits = (1..=width).contains(&across) && (1..=height).contains(&down);
        fits.then(|| [below(words[2], width - across + 1), below(words[3], height - down + 1), across, down])
    }

    /// The largest part in the center with an allowed aspect ratio.
    fn in_the_middle(self, width: usize, height: usize) -> [usize; 4] {
        let [narrowest, widest] = self.proportions;
        let found = width as f64 / height as f64;
        let [across, down] = match found {
            _ if found < narrowest => [width, (width as f64 / narrowest).round() as usize],
            _ if found > widest => [(height as f64 * widest).round() as usize, height],
            _ => [width, height],
        };
        [(width - across) / 2, (height - down) / 2, across, down]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Augmentation = Augmentation { frame: Frame::Along, flip: true, shift: 2 };

    #[test]
    fn variations_are_reproducible_and_differ() {
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
    fn pictures_are_flipped_and_shifted() {
        let side = 4;
        let framed: Vec<u8> = (0..3 * 16).map(|i| i * 5).collect();
        let write = |variation: Variation| {
            let mut to = vec![0.0; 3 * 16];
            variation.write(&framed, side, &mut to);
            to.iter().map(|x| ((x + 1.0) * 127.5).round() as u8 / 5).collect::<Vec<_>>()
        };
        let plain = PLAIN.of(1, 2, 3);
        assert!(write(plain).into_iter().eq(0..48));
        assert_eq!(write(Variation { flipped: true, ..plain })[..4], [3, 2, 1, 0]);
        let moved = write(Variation { moved: [1, -1], ..plain });
        assert_eq!(moved[..8], [1, 2, 3, 3, 1, 2, 3, 3], "repeats the first row and the last column");
        assert_eq!(moved[16..20], [17, 18, 19, 19]);
    }

    /// A picture whose red values are the column and green values the row, as bytes.
    fn places(width: usize, height: usize) -> Picture {
        let value = |i: usize| match i / (width * height) {
            0 => (i % width) as f32,
            1 => (i / width % height) as f32,
            _ => 0.0,
        };
        let values = (0..3 * width * height).map(|i| value(i) / 127.5 - 1.0).collect();
        Picture::new(width, height, values).unwrap()
    }

    /// The first and last column, and the first and last row, that a frame shows.
    fn corners(framed: &Picture) -> [f32; 4] {
        let (side, pixels) = (framed.width(), framed.width() * framed.height());
        let value = |i: usize| (framed.data()[i] + 1.0) * 127.5;
        [value(0), value(side - 1), value(pixels), value(2 * pixels - 1)]
    }

    fn framed(augmentation: Augmentation, size: [usize; 2], resolution: usize) -> Vec<[f32; 4]> {
        let picture = places(size[0], size[1]);
        let frame = |index| corners(&augmentation.of(1, 2, index).frame(&picture, resolution).unwrap());
        (0..200).map(frame).collect()
    }

    #[test]
    fn imagenet_crops_are_anywhere_along_the_longer_side() {
        let all = framed(Augmentation::named(Some("imagenet256x256")).unwrap(), [120, 40], 40);
        assert!(all.iter().all(|[left, right, top, bottom]| {
            (right - left - 39.0).abs() < 0.1 && top.abs() < 0.1 && (bottom - 39.0).abs() < 0.1
        }));
        let places: std::collections::BTreeSet<u32> = all.iter().map(|frame| frame[0] as u32).collect();
        assert!(places.len() > 60 && places.iter().max() > Some(&75), "{places:?}");
        // As in torchvision's `RandomCrop`, the last place is as likely as the others.
        let all = framed(Augmentation::named(Some("imagenet256x256")).unwrap(), [41, 40], 40);
        let last = all.iter().filter(|[left, ..]| *left > 0.5).count();
        assert!((70..=130).contains(&last), "{last} of 200");
    }

    /// As torchvision's `RandomResizedCrop` with scale 0.75 to 1 and ratio 1: sides are at least 0.866 of the
    /// whole.
    #[test]
    fn ffhq_crops_have_at_least_three_quarters_of_the_area() {
        let augmentation = Augmentation::named(Some("ffhq256x256")).unwrap();
        assert!(augmentation.flip);
        let all = framed(augmentation, [200, 200], 200);
        let sides: Vec<f32> = all.iter().map(|[left, right, ..]| right - left + 1.0).collect();
        assert!(sides.iter().all(|side| (171.0..=200.5).contains(side)), "{sides:?}");
        assert!(sides.iter().any(|side| *side < 176.0) && sides.iter().any(|side| *side > 197.0));
        let squares = all.iter().all(|[left, right, top, bottom]| (right - left - bottom + top).abs() < 1.5);
        assert!(squares, "{all:?}");
        // If no such part fits, the largest square in the center.
        let all = framed(augmentation, [400, 100], 100);
        assert!(all.iter().all(|[left, right, ..]| (*left - 150.0).abs() < 0.1 && *right < 250.0));
    }

    /// As the published `AugmentationDALLE`: the middle quarter of the positions along the longer side, then
    /// up to an eighth off.
    #[test]
    fn dalle_crops_are_near_the_center() {
        let augmentation = Augmentation::named(Some("dalle-vqvae")).unwrap();
        assert_eq!((augmentation.flip, augmentation.held_out().frame), (false, Frame::Squeezed));
        let all = framed(augmentation, [250, 90], 80);
        for [left, right, top, bottom] in all.clone() {
            // 160 columns are left over: the square starts between 60 and 100, and loses at most a tenth of
            // its 90 pixels.
            assert!((60.0..110.0).contains(&left) && right < 190.5, "{left} {right}");
            assert!((79.0..=90.5).contains(&(right - left + 1.0)) && bottom - top > 78.0, "{left} {right}");
        }
        assert!(all.iter().any(|frame| frame[0] < 66.0) && all.iter().any(|frame| frame[0] > 94.0));
    }
}
